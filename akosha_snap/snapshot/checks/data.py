"""Level `data`: every byte of every pack is read, every needed frame decoded and hashed."""

from __future__ import annotations

import graphlib
import itertools
import random
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from akosha_snap.errors import DamageError
from akosha_snap.events import Observer
from akosha_snap.frames import decode_chunk
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.checks.needed import Location, NeededFrame, PackFrames
from akosha_snap.snapshot.fetch import Span, fetch
from akosha_snap.snapshot.system import System

__all__ = ["check_data"]

_FILLER = 4 * 1024 * 1024
"""Bytes at most in one read of what no snapshot needs: footers, and chunks of snapshots long gone."""

_NOT_YET = -1


class _Part(NamedTuple):
    """A stretch of a pack to read, and the frame it is, if it is one that is needed."""

    span: Span
    frame: NeededFrame | None


def check_data(system: System, findings: Findings, sample: float, observer: Observer) -> None:
    """Read the packs that are there, bases first.

    Under 100, `sample` percent of the frames are drawn at random and read with all
    they need; packs as a whole are then not hashed.
    """
    order = [pack_id for pack_id in _bases_first(system, findings) if pack_id in findings.stored]
    whole = sample >= 100
    drawn = None if whole else _draw(findings, sample)
    observer.phase("verify", total=_length(findings, order, drawn))
    # Not a list, which would take 170 bytes a frame: only what is read ahead is kept.
    parts, ahead = itertools.tee(
        part for pack_id in order for part in _parts(findings, pack_id, findings.stored[pack_id], drawn)
    )
    with tempfile.TemporaryFile() as spill:
        reader = _Reader(system, findings, spill)
        for part, stored in zip(parts, fetch(system, (part.span for part in ahead)), strict=True):
            reader.read(part, stored)
            observer.advance(part.span.length)
    _report(system, findings, order, reader, is_whole=whole)


class _Reader:
    """Decodes frames as their bytes come in; chunks that others need are kept on disk."""

    def __init__(self, system: System, findings: Findings, spill: BinaryIO) -> None:
        self._packs = system.packs
        self._findings = findings
        self._pack = {pack_id: number for number, pack_id in enumerate(findings.frames)}
        self._spill = spill
        self._spilled = dict.fromkeys(self._all_bases(), _NOT_YET)
        """Of each base, as one number (`_place`): where its chunk lies in `_spill`."""
        self._hashers: dict[bytes, blake3] = {}
        self.lost: set[bytes] = set()
        self.damaged: dict[bytes, dict[int, str]] = {}

    def digest(self, pack_id: bytes) -> bytes:
        """The BLAKE3 of all that was read of a pack."""
        return self._hashers[pack_id].digest()

    def read(self, part: _Part, stored: memoryview | DamageError) -> None:
        """Take in one stretch of a pack."""
        if isinstance(stored, DamageError):
            self.lost.add(part.span.pack)
            if part.frame:
                self._findings.damaged.add((part.span.pack, part.span.offset))
            return
        self._hashers.setdefault(part.span.pack, blake3()).update(stored)
        if part.frame and all(self._spilled[self._place(*base)] != _NOT_YET for base in part.frame.bases):
            # With a base lost nothing can be said of this frame; the base is reported.
            self._decode(part.span, part.frame, stored)

    def _decode(self, span: Span, frame: NeededFrame, stored: memoryview) -> None:
        bases = [self._chunk(base) for base in frame.bases]

        def decode(stored: bytes | memoryview) -> bytes:
            return decode_chunk(frame.hash, frame.codec, stored, frame.raw_size, bases)

        try:
            chunk = self._packs.decoded(span.pack, span.offset, stored, decode)
        except DamageError as error:
            self.damaged.setdefault(span.pack, {})[span.offset] = error.message
            self._findings.damaged.add((span.pack, span.offset))
            return
        place = self._place(span.pack, span.offset)
        if place in self._spilled:
            self._spilled[place] = self._spill.seek(0, 2)
            self._spill.write(chunk)

    def _chunk(self, base: Location) -> bytes:
        pack_id, offset = base
        self._spill.seek(self._spilled[self._place(*base)])
        return self._spill.read(self._findings.frames[pack_id][offset].raw_size)

    def _all_bases(self) -> Iterator[int]:
        frames = (frame for pack in self._findings.frames.values() for frame in pack.values())
        return (self._place(*base) for frame in frames for base in frame.bases)

    def _place(self, pack_id: bytes, offset: int) -> int:
        return self._pack[pack_id] << 32 | offset


def _bases_first(system: System, findings: Findings) -> list[bytes]:
    """Packs in an order in which bases come first. A push stores bases before what needs them: no cycles."""
    needs = {
        pack_id: {base for frame in frames.values() for base, _ in frame.bases if base != pack_id}
        for pack_id, frames in findings.frames.items()
    }
    try:
        return list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        for pack_id in set(error.args[1]):
            detail = "it needs bases of a pack that needs bases of it"
            findings.problem("bases_disagree", pack_key(system.id, pack_id), findings.users(pack_id), detail)
        return list(needs)


def _draw(findings: Findings, sample: float) -> set[Location]:
    everything = [(pack_id, offset) for pack_id, frames in findings.frames.items() for offset in frames]
    drawn = set(random.sample(everything, max(1, round(len(everything) * sample / 100)) if everything else 0))
    todo = list(drawn)
    while todo:
        pack_id, offset = todo.pop()
        for base in findings.frames[pack_id][offset].bases:
            if base not in drawn:
                drawn.add(base)
                todo.append(base)
    return drawn


def _length(findings: Findings, packs: list[bytes], drawn: set[Location] | None) -> int:
    """Bytes to read of these packs: all of them, or only the frames drawn."""
    if drawn is None:
        return sum(findings.stored[pack_id] for pack_id in packs)
    return sum(findings.frames[pack_id][at].stored_size for pack_id, at in drawn if pack_id in findings.stored)


def _parts(findings: Findings, pack_id: bytes, size: int, drawn: set[Location] | None) -> Iterator[_Part]:
    """The stretches of a pack of `size` bytes in order: all of it, or only the frames drawn.

    Where it is shorter than it was, what lies behind its end is damaged.
    """
    position = 0
    for offset, frame in sorted(findings.frames.get(pack_id, PackFrames()).items()):
        if drawn is None:
            yield from _filler(pack_id, position, min(offset, size))
        if offset + frame.stored_size > size:
            findings.damaged.add((pack_id, offset))
        elif drawn is None or (pack_id, offset) in drawn:
            yield _Part(Span(pack_id, offset, frame.stored_size), frame)
        position = offset + frame.stored_size
    if drawn is None:
        yield from _filler(pack_id, position, size)


def _filler(pack_id: bytes, start: int, end: int) -> Iterator[_Part]:
    for offset in range(start, end, _FILLER):
        yield _Part(Span(pack_id, offset, min(_FILLER, end - offset)), None)


def _report(system: System, findings: Findings, order: list[bytes], reader: _Reader, *, is_whole: bool) -> None:
    sizes = findings.whole_packs(system.id)
    users = _users(system, findings, reader.damaged)
    for pack_id in order:
        if pack_id not in sizes:
            continue  # missing, or of another size: that is known already
        key = pack_key(system.id, pack_id)
        if pack_id in reader.lost:
            findings.problem("pack_missing", key, findings.users(pack_id), "lost since it was listed")
        elif damaged := reader.damaged.get(pack_id):
            offset, detail = next(iter(damaged.items()))
            chunk = findings.frames[pack_id][offset].hash.hex()
            more = f", and {len(damaged) - 1} more" if len(damaged) > 1 else ""
            detail = f"chunk {chunk} at byte {offset} is damaged: {detail}{more}"
            findings.problem("chunk_damaged", key, users[pack_id], detail)
        elif is_whole and not findings.has_problem(key) and not _is_whole(system, reader, pack_id, sizes[pack_id]):
            findings.warnings.append(f"{key} is damaged in bytes that none of these snapshots needs")


def _is_whole(system: System, reader: _Reader, pack_id: bytes, size: int) -> bool:
    """Whether all that was read of a pack hashes to its name; read once more where it does not."""
    if reader.digest(pack_id) == pack_id:
        return True
    hasher = blake3()
    for part in _filler(pack_id, 0, size):
        hasher.update(system.packs.read_again(*part.span))
    return hasher.digest() == pack_id


def _users(system: System, findings: Findings, damaged: dict[bytes, dict[int, str]]) -> dict[bytes, list[str]]:
    """The snapshots that need a damaged frame of each pack. Their chunk lists are read again: keeping all would
    cost memory."""
    users: dict[bytes, list[str]] = {pack_id: [] for pack_id in damaged}
    for snapshot in findings.opened:
        if concerned := damaged.keys() & snapshot.pack_sizes.keys():
            needs = Findings()
            needs.add_snapshot(snapshot.upload_id, snapshot.manifest, system.chunk_list(snapshot.manifest))
            for pack_id in concerned:
                if damaged[pack_id].keys() & needs.frames.get(pack_id, PackFrames()).keys():
                    users[pack_id].append(snapshot.upload_id)
    return users
