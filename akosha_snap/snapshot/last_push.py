"""What the last push left on this machine so that the next one costs little: warm state and mirror.

All of it is a hint. What is lost, stale or damaged costs bytes or time, nothing else: the
state carries its own hash, and so do the table and every chunk of the mirror that serves as a base.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from blake3 import blake3

from akosha_snap.atomic import publish, temporary_file
from akosha_snap.frames import HASH_SIZE, content_hash
from akosha_snap.frames.similarity import BLOCK, SimilarityTable
from akosha_snap.source import RecordCounts, Seen
from akosha_snap.version import __version__

__all__ = ["KnownFile", "KnownSource", "LastPush", "WarmState"]

_WRITER = f"2 {__version__}"
"""Of another version nothing is believed: it may have cut or counted in another way."""


_LARGEST = 256 * 1024 * 1024
"""Bytes of a file of ours: the state of some 300 GB of databases."""


class KnownSource(msgspec.Struct, frozen=True):
    """A path that was pushed: as it was seen, the names of its files in the snapshot, and its records."""

    path: bytes
    seen: Seen | None
    files: list[str]
    counts: RecordCounts | None


class KnownFile(msgspec.Struct, frozen=True):
    """A file of the snapshot: its block size in bytes, and the BLAKE3 of each of its sections, joined."""

    block_size: int
    digests: bytes


class LastPush(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot that this machine pushed last, or found unchanged.

    `manifest_size` is the manifest's size on the store in bytes, `looked_at` when the
    store was last asked for all of it (Unix time, seconds), `table` the BLAKE3 of the similarity table's file,
    empty where that does not know these chunks.
    """

    writer: str = _WRITER
    upload_id: str
    manifest: bytes
    manifest_size: int
    chunk_list: bytes
    looked_at: float
    sources: list[KnownSource]
    files: dict[str, KnownFile]
    table: bytes = b""


class WarmState:
    """The files of the warm state in `folder`; without a folder nothing is remembered."""

    def __init__(self, folder: Path | None) -> None:
        self._state = folder / "last-push" if folder else None
        self._table = folder / "similar" if folder else None
        self.mirror = folder / "mirror" if folder else None
        """Holds the copies of the last push, by the names of the snapshot's files."""

    def load(self) -> LastPush | None:
        """The last push, where all of it can be read and is what was saved."""
        data = _read(self._state)
        if len(data) <= HASH_SIZE or content_hash(data[HASH_SIZE:]) != data[:HASH_SIZE]:
            return None
        try:
            last = msgspec.msgpack.decode(data[HASH_SIZE:], type=LastPush)
        except msgspec.MsgspecError:  # of another version
            return None
        return last if last.writer == _WRITER else None

    def load_table(
        self, last: LastPush | None, names: Sequence[bytes], chunks: Sequence[int]
    ) -> SimilarityTable | None:
        """The similarity table of the last push for these chunks, where there was one and it is what was saved."""
        if not last or not last.table or _digest(_blocks(self._table)) != last.table:
            return None
        return SimilarityTable.load(_blocks(self._table), names, chunks)

    def keep_copies(self, copies: Mapping[str, Path]) -> None:
        """Take these files, by their names, over as the mirror, which holds nothing else; raises OSError."""
        if self.mirror is None:
            return
        if self.mirror.is_symlink():  # what is behind it is not ours to change
            self.mirror.unlink()
        self.mirror.mkdir(mode=0o700, exist_ok=True)
        for old in self.mirror.iterdir():
            if old.name not in copies:
                old.unlink()
        for name, path in copies.items():
            if path != self.mirror / name:
                path.replace(self.mirror / name)

    def drop_mirror(self) -> None:
        """Keep no copies; raises OSError where they cannot be removed."""
        if self.mirror is None or not os.path.lexists(self.mirror):
            return
        if self.mirror.is_symlink() or not self.mirror.is_dir():
            self.mirror.unlink()
        else:
            shutil.rmtree(self.mirror)

    def has_copies(self, names: Iterable[str]) -> bool:
        """Whether the mirror holds files of these names."""
        return self.mirror is not None and all(_is_plain(self.mirror / name) for name in names)

    def save(self, last: LastPush, table: Iterable[bytes] | None) -> None:
        """Remember a push; raises OSError. A `table` of None is the one that is there already.

        What was remembered before was forgotten before the mirror changed, so that a crash in
        between leaves nothing that does not fit together.
        """
        if self._state is None or self._table is None:
            return
        if table is not None:
            last = msgspec.structs.replace(last, table=_write(self._table, table))
        state = msgspec.msgpack.encode(last)
        _write(self._state, [content_hash(state), state])

    def forget(self) -> None:
        """Remember no push; raises OSError."""
        if self._state is not None:
            self._state.unlink(missing_ok=True)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _read(path: Path | None) -> bytes:
    """All of the file; nothing of one that cannot be read, or cannot be ours."""
    try:
        return path.read_bytes() if path and _is_plain(path) and path.stat().st_size <= _LARGEST else b""
    except OSError:
        return b""


def _blocks(path: Path | None) -> Iterator[bytes]:
    """The same in blocks, one at a time in memory."""
    with contextlib.suppress(OSError):
        if path and _is_plain(path):
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block


def _digest(blocks: Iterable[bytes]) -> bytes:
    digest = blake3()
    for block in blocks:
        digest.update(block)
    return digest.digest()


def _write(path: Path, blocks: Iterable[bytes]) -> bytes:
    """Put a file there, whole; returns its BLAKE3."""
    digest = blake3()
    with temporary_file(path.parent) as (unfinished, file):
        for block in blocks:
            digest.update(block)
            file.write(block)
        file.close()
        publish(unfinished, path, overwrite=True)
    return digest.digest()
