"""One target a parser: bytes in, nothing out. Whatever it raises is a bug, our own errors excepted.

Where a hash or checksum would keep every mutation out, the target takes the bytes without it and
writes the right one itself: an attacker can do that too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

from akosha_snap.errors import AkoshaSnapError
from akosha_snap.frames import content_hash, decode_chunk, read_footer
from akosha_snap.manifest import decode_chunk_list, decode_format, decode_manifest
from akosha_snap.snapshot.inventory import Inventory, PackRef
from akosha_snap.source.blocks import first_fault
from akosha_snap.source.checksum import checksum
from akosha_snap.source.header import BLOCKS_START, HEADER_SIZE, parse_headers
from akosha_snap.source.wal import scan_wal

__all__ = ["TARGETS", "seeds"]

_FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
_TRAILER = 44  # bytes at the end of a pack
_SIZES = struct.Struct("<BBI")


def manifest(data: bytes) -> None:
    """manifest.json, with its checksum put right where it is JSON."""
    with contextlib.suppress(ValueError, RecursionError):
        tree = json.loads(data)
        if isinstance(tree, dict):
            data = sealed_manifest(tree)
    decode_manifest(data, "m")


def sealed_manifest(tree: dict[str, object]) -> bytes:
    """The tree as canonical JSON with the checksum that it should have."""
    unsigned = _canonical(tree | {"checksum": None})
    return _canonical(tree | {"checksum": hashlib.sha256(unsigned).hexdigest()})


def _canonical(tree: dict[str, object]) -> bytes:
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def store_format(data: bytes) -> None:
    """format.json"""
    decode_format(data, "f")


def chunk_list(data: bytes) -> None:
    """A chunk list, and what the next push takes over of it."""
    value = decode_chunk_list(data, "l")
    Inventory().add_chunk_list(value, PackRef(bytes(32), 1000), None)


def footer(data: bytes) -> None:
    """A pack of no frames that ends in this footer, under a right trailer; and what a push takes over of it."""
    tail = under_trailer(data)
    frames = 0
    with contextlib.suppress(Exception):
        import msgspec

        frames = sum(msgspec.msgpack.decode(data)["stored_sizes"])
    Inventory().add_footer(bytes(32), frames + len(tail), read_footer(tail, frames + len(tail)))


def under_trailer(footer: bytes) -> bytes:
    """The footer as it ends a pack."""
    return footer + struct.pack("<I32s7sB", len(footer), content_hash(footer), b"AKSNAP\0", 1)


def pack(data: bytes) -> None:
    """The end of a pack, trailer and all."""
    read_footer(data, len(data))


def frame(data: bytes) -> None:
    """A stored frame behind its codec, the length of a base and the raw size that is claimed (one MiB at most)."""
    if len(data) < _SIZES.size:
        return
    codec, base, raw_size = _SIZES.unpack_from(data)
    rest = data[_SIZES.size :]
    bases = [rest[:base]] if base else []
    chunk = decode_chunk_of_any_name(codec, rest[base:], raw_size % (1 << 20), bases)
    assert len(chunk) == raw_size % (1 << 20)


def decode_chunk_of_any_name(codec: int, stored: bytes, raw_size: int, bases: list[bytes]) -> bytes:
    """The chunk, once by its name as well where it decodes."""
    from akosha_snap.frames import decode

    chunk = decode(codec, stored, raw_size, bases)
    assert decode_chunk(content_hash(chunk), codec, stored, raw_size, bases) == chunk
    return chunk


def database(data: bytes) -> None:
    """The headers of a DuckDB file, checksums put right, and the free list that they point to."""
    head = bytearray(data[:BLOCKS_START].ljust(BLOCKS_START, b"\0"))
    for start in range(0, BLOCKS_START, HEADER_SIZE):
        head[start : start + 8] = checksum(bytes(head[start + 8 : start + HEADER_SIZE])).to_bytes(8, "little")
    headers = parse_headers(bytes(head))
    if headers.current:
        copy = io.BytesIO(bytes(head) + data[BLOCKS_START:])
        for failing in ([], [0, 1]):
            first_fault(copy, headers.current, len(copy.getvalue()), failing, row_groups=bool(failing))


def wal(data: bytes) -> None:
    """A write-ahead log as it is, and with the checksum of each entry put right."""
    for log in (data, _resealed(data)):
        scan = scan_wal(io.BytesIO(log))
        assert 0 <= scan.committed <= scan.size == len(log)


def _resealed(log: bytes) -> bytes:
    changed = bytearray(log)
    position = log.find(b"\xff\xff") + 2
    while 2 <= position <= len(log) - 16:
        length = int.from_bytes(log[position : position + 8], "little")
        payload = log[position + 16 : position + 16 + length]
        changed[position + 8 : position + 16] = checksum(payload).to_bytes(8, "little")
        position += 16 + max(length, 1)
    return bytes(changed)


def _only_ours(parse: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        with contextlib.suppress(AkoshaSnapError):
            parse(data)

    return target


TARGETS: dict[str, Callable[[bytes], None]] = {
    parse.__name__: _only_ours(parse)
    for parse in (manifest, store_format, chunk_list, footer, pack, frame, database, wal)
}


def seeds(name: str, *, broken: bool = True) -> list[bytes]:
    """Valid inputs of a target, from the fixtures, and what `broken` it once."""
    store = _FIXTURES / "v1" / "store"
    packs = [path.read_bytes() for path in sorted(store.glob("akosha-snap/*/packs/*/*"))]
    found: dict[str, Callable[[], list[bytes]]] = {
        "manifest": lambda: _read(store.glob("systems/*/*/manifest.json")),
        "store_format": lambda: _read(store.glob("akosha-snap/*/format.json")),
        "chunk_list": lambda: _chunk_lists(store),
        "footer": lambda: [_footer_of(data) for data in packs],
        "pack": lambda: [data[-4096:] for data in packs],
        "frame": lambda: [_SIZES.pack(1, 0, 10) + data[:200] for data in packs] + _frames(),
        "database": lambda: [data[: 4 * BLOCKS_START] for data in _read(_FIXTURES.glob("duckdb/*.duckdb"))],
        "wal": lambda: [data[:4096] for data in _read(_FIXTURES.glob("duckdb/*.wal"))],
    }
    return found[name]() + (_read((_FIXTURES / "broken" / name).glob("*")) if broken else [])


def _read(paths: object) -> list[bytes]:
    return [path.read_bytes() for path in sorted(paths) if path.is_file()]  # type: ignore[call-overload]


def _footer_of(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, len(data) - _TRAILER)
    return data[len(data) - _TRAILER - size : len(data) - _TRAILER]


def _frames() -> list[bytes]:
    from akosha_snap.frames import encode

    chunk, base = b"a chunk of some length, twice: " * 2, b"a chunk of some length"
    codec, stored = encode(chunk, [base])
    return [_SIZES.pack(int(codec), len(base), len(chunk)) + base + stored, _SIZES.pack(0, 0, 5) + b"chunk"]


def _chunk_lists(store: Path) -> list[bytes]:
    """The chunk lists of the fixture's snapshots."""
    from akosha_snap.snapshot.system import System
    from akosha_snap.stores import DirectoryStore

    with System(DirectoryStore(store), "fixture") as system:
        return [system.raw_chunk_list(system.manifest(upload_id)) for upload_id in system.uploads()]
