"""What the last push left on this machine so that the next one costs little: warm state and mirror.

All of it is a hint. What is lost, stale or damaged costs bytes or time, nothing else: the
state carries its own hash, and every byte of the mirror is hashed before it is used.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from akosha_snap.atomic import publish, temporary_file
from akosha_snap.frames import HASH_SIZE, content_hash
from akosha_snap.frames.similarity import SimilarityTable
from akosha_snap.source import RecordCounts, Seen
from akosha_snap.version import __version__

__all__ = ["KnownFile", "KnownSource", "LastPush", "WarmState"]

_WRITER = f"1 {__version__}"
"""Of another version nothing is believed: it may have cut or counted in another way."""


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
        data = _read(self._table) if last else b""
        if not last or not data or content_hash(data) != last.table:
            return None
        return SimilarityTable.load(data, names, chunks)

    def save(self, last: LastPush, table: memoryview | None, copies: Mapping[str, Path] | None) -> None:
        """Remember a push. `copies` are taken over as the mirror, with None there is none; raises OSError.

        A `table` of None is the one that is there already. What was remembered before is
        forgotten first, so that a crash in between leaves nothing that does not fit together.
        """
        if self._state is None or self._table is None or self.mirror is None:
            return
        self.forget()
        _take_over(self.mirror, copies)
        if table is not None:
            last = msgspec.structs.replace(last, table=content_hash(table))
            _write(self._table, table)
        state = msgspec.msgpack.encode(last)
        _write(self._state, content_hash(state) + state)

    def forget(self) -> None:
        """Remember no push; raises OSError."""
        if self._state is not None:
            self._state.unlink(missing_ok=True)

    def drop_mirror(self) -> None:
        """Give back the disk space of the copies."""
        if self.mirror is not None:
            shutil.rmtree(self.mirror, ignore_errors=True)


def _take_over(mirror: Path, copies: Mapping[str, Path] | None) -> None:
    if copies is None:
        shutil.rmtree(mirror, ignore_errors=True)
        return
    mirror.mkdir(mode=0o700, exist_ok=True)
    for old in mirror.iterdir():
        if old.name not in copies:
            old.unlink()
    for name, path in copies.items():
        if path != mirror / name:
            with contextlib.suppress(FileNotFoundError):  # an unchanged source whose mirror was lost
                path.replace(mirror / name)


def _read(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError:
        return b""


def _write(path: Path, data: bytes | memoryview) -> None:
    with temporary_file(path.parent) as (unfinished, file):
        file.write(data)
        file.close()
        publish(unfinished, path, overwrite=True)
