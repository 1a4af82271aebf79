"""What a verification has seen so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from akosha_snap.manifest import ChunkList, Manifest
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.checks.needed import Location, NeededFrame, PackFrames
from akosha_snap.snapshot.decoding import pack_ids
from akosha_snap.snapshot.results import Problem

__all__ = ["Findings", "Opened"]


class Opened(NamedTuple):
    """A snapshot whose manifest and chunk list could be read."""

    upload_id: str
    manifest: Manifest
    pack_sizes: dict[bytes, int]


class Findings:
    """Collects problems, and the frames that the checked snapshots need."""

    def __init__(self) -> None:
        self.objects = 0
        self._problems: dict[tuple[str, str], Problem] = {}
        self.warnings: list[str] = []
        self.opened: list[Opened] = []
        self.frames: dict[bytes, PackFrames] = {}
        self.stored: dict[bytes, int] = {}
        """Id and size in bytes of each pack the store lists."""
        self.damaged: set[Location] = set()
        """Frames that were read, at level `data`, and are not what they should be."""

    @property
    def problems(self) -> list[Problem]:
        """The problems found so far, in the order they were found."""
        return list(self._problems.values())

    def problem(self, kind: str, key: str, snapshots: Iterable[str], detail: str) -> None:
        """Record a problem with the object `key`; of one kind there is one, with all the snapshots it touches."""
        known = self._problems.get((kind, key))
        touched = {*(known.snapshots if known else ()), *snapshots}
        self._problems[kind, key] = Problem(kind, key, sorted(touched), known.detail if known else detail)

    def has_problem(self, key: str) -> bool:
        """Whether some problem names the object `key`."""
        return any(problem.object == key for problem in self.problems)

    def users(self, pack_id: bytes) -> list[str]:
        """The snapshots that need a pack."""
        return [snapshot.upload_id for snapshot in self.opened if pack_id in snapshot.pack_sizes]

    def whole_packs(self, system_id: str) -> dict[bytes, int]:
        """Id and size in bytes of each needed pack that is there with its size (after level `manifest`)."""
        broken = {problem.object for problem in self.problems if problem.kind in {"pack_missing", "pack_size"}}
        sizes = {pack_id: size for snapshot in self.opened for pack_id, size in snapshot.pack_sizes.items()}
        return {pack_id: size for pack_id, size in sizes.items() if pack_key(system_id, pack_id) not in broken}

    def unreadable(self) -> set[Location]:
        """The frames that cannot be decoded (after level `data`): damaged, in no pack, or with such a base."""
        bad = set(self.damaged)
        bad |= {(pack, at) for pack, frames in self.frames.items() if pack not in self.stored for at in frames}
        needs: dict[Location, list[Location]] = {}
        for pack, frames in self.frames.items():
            for at, frame in frames.items():
                for base in frame.bases:
                    needs.setdefault(base, []).append((pack, at))
        todo = list(bad)
        while todo:
            for place in needs.get(todo.pop(), []):
                if place not in bad:
                    bad.add(place)
                    todo.append(place)
        return bad

    def touched(self) -> set[str]:
        """Every snapshot that some problem touches."""
        return {upload_id for problem in self.problems for upload_id in problem.snapshots}

    def forget(self, gone: set[str]) -> None:
        """Drop the problems of snapshots that were pruned meanwhile: what only they needed may be gone too."""
        for place, problem in list(self._problems.items()):
            left = [one for one in problem.snapshots if one not in gone]
            if problem.snapshots and not left:
                del self._problems[place]
            else:
                self._problems[place] = Problem(problem.kind, problem.object, left, problem.detail)
        self.warnings += [f"snapshot {one} is gone since it was listed: pruned, or lost" for one in sorted(gone)]

    def add_snapshot(self, upload_id: str, manifest: Manifest, chunk_list: ChunkList) -> None:
        """A snapshot could be read: remember what it needs."""
        own = manifest.snapshot.list_pack
        packs = pack_ids(chunk_list, own)
        pointers = manifest.snapshot.chunk_list
        sizes = {bytes.fromhex(frame.pack): frame.pack_size for frame in pointers}
        sizes |= {packs[i]: chunk_list.pack_sizes[i] for i in set(chunk_list.pack) if packs[i] != own}
        self.opened.append(Opened(upload_id, manifest, sizes))
        for i in range(len(chunk_list)):
            bases = tuple((packs[chunk_list.pack[base]], chunk_list.offsets[base]) for base in chunk_list.bases[i])
            frame = NeededFrame(
                chunk_list.hash(i), chunk_list.stored_sizes[i], chunk_list.raw_sizes[i], chunk_list.codecs[i], bases
            )
            self._need(upload_id, packs[chunk_list.pack[i]], chunk_list.offsets[i], frame)
        for pointer in pointers:
            bases = tuple((bytes.fromhex(pointers[b].pack), pointers[b].offset) for b in pointer.bases)
            listed = NeededFrame(
                bytes.fromhex(pointer.hash), pointer.stored_size, pointer.raw_size, pointer.codec, bases
            )
            self._need(upload_id, bytes.fromhex(pointer.pack), pointer.offset, listed)

    def _need(self, upload_id: str, pack_id: bytes, offset: int, frame: NeededFrame) -> None:
        if not self.frames.setdefault(pack_id, PackFrames()).add(offset, frame):
            detail = f"it describes the frame at byte {offset} of pack {pack_id.hex()} otherwise than another snapshot"
            self.problem("frames_disagree", upload_id, [upload_id], detail)
