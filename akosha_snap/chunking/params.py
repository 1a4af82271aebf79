"""The chunker's parameters, as written into a store's format.json."""

from __future__ import annotations

import msgspec

__all__ = ["V1", "ChunkerParams"]


class ChunkerParams(msgspec.Struct, frozen=True):
    """FastCDC 2020 (doi.org/10.1109/TPDS.2020.2984632) as the fastcdc-rs and pyfastcdc crates define it.

    Sizes are bytes of one chunk. `normalization` is the paper's normalized chunking
    level (section 3.5), `seed` alters the gear table (0: the paper's own table).
    """

    algorithm: str = "fastcdc-2020"
    min_size: int = 16 * 1024
    avg_size: int = 64 * 1024
    max_size: int = 256 * 1024
    normalization: int = 1
    seed: int = 0


V1 = ChunkerParams()
"""Format v1. 64 KiB: the best of 16 to 256 KiB on real memory databases (docs/design-notes.md)."""
