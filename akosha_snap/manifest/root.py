"""The name of a snapshot's content."""

from __future__ import annotations

from collections.abc import Iterable

from akosha_snap.frames import content_hash

__all__ = ["snapshot_root"]


def snapshot_root(files: Iterable[tuple[str, int, bytes]]) -> bytes:
    """BLAKE3 over one line per file, in byte order of the names: `<BLAKE3 hex> <size> <name>` and a newline.

    `files` are (name, size in bytes, BLAKE3 of the content). Equal roots mean equal files.
    """
    lines = sorted((name.encode(), size, digest) for name, size, digest in files)
    return content_hash(b"".join(b"%s %d %s\n" % (digest.hex().encode(), size, name) for name, size, digest in lines))
