"""Content-defined chunking: bytes in, chunks out. Pure: no files, no network."""

from akosha_snap.chunking.features import features
from akosha_snap.chunking.grid import Grid
from akosha_snap.chunking.params import V1, ChunkerParams
from akosha_snap.chunking.stream import Chunk, Readable, chunks, cut, make_cutter

__all__ = [
    "V1",
    "Chunk",
    "ChunkerParams",
    "Grid",
    "Readable",
    "chunks",
    "cut",
    "features",
    "make_cutter",
]
