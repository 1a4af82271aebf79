"""What must be true after the plug was pulled, whatever moment it was."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import memory_db
import operations
import second_reader
from helpers import noise
from operations import SYSTEM
from plug import Outcome

from akosha_snap import api
from akosha_snap.errors import NothingThereError, StoreNotCreated
from akosha_snap.frames import read_footer
from akosha_snap.stores import DirectoryStore

__all__ = ["Site", "points"]

_TORN = re.compile(r"(write|pwrite|send) ")
_RANDOM = re.compile(r"[0-9a-f]{16,}|packs/[0-9a-f]{2}\b|(?<=-)[a-z0-9_]{8}(?=/|$| )|[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


def points(calls: list[str], *, every: bool, at_most: int = 1_000) -> Iterator[tuple[int, str]]:
    """Where to pull the plug, and how: everywhere, or at the first of the calls of each kind (or of some)."""
    kinds: dict[str, list[int]] = {}
    for number, call in enumerate(calls):
        kinds.setdefault(_RANDOM.sub("*", call), []).append(number)
    firsts = sorted(found[0] for found in kinds.values())
    some = firsts[:: -(-len(firsts) // at_most)]
    for number in range(len(calls)) if every else some:
        yield number, "kill"
        if _TORN.match(calls[number]):
            yield number, "torn"


class Site:
    """A folder in which operations run, and its state before them, to go back to.

    The path stays the same: what is remembered of a push holds for one store and one live file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._before = folder / "site", folder / "before"
        self.store = DirectoryStore(self.folder / "store")
        self.known: list[dict[str, bytes]] = []
        """What a snapshot may hold: one of these."""
        self._found_whole: set[tuple[tuple[str, int], ...]] = set()
        for name in ("live", "state", "store", "tmp"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "store").rmdir()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Make these the live files; old enough that nobody waits for them to settle."""
        for name, data in files.items():
            path = self.folder / "live" / name
            path.unlink(missing_ok=True)
            path.write_bytes(data)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        self.known.append(self.live())

    def write_memory(self, memory: Path, seed: int = 0) -> None:
        """Make the databases of `memory` the live ones, after a session (left in the WAL) where there is a seed."""
        if seed:
            memory_db.live_session(self.folder / "live", seed=seed, checkpoint=False)
        else:
            shutil.copytree(memory, self.folder / "live", dirs_exist_ok=True)
        self.write_notes(seed)

    def write_notes(self, seed: int = 0) -> None:
        """Make a file that fills two packs a live one, another part of it new with each seed."""
        self.write({"notes.bin": noise(150_000, "notes") + noise(50_000, seed)})

    def live(self) -> dict[str, bytes]:
        """The live files, by name."""
        return {path.name: path.read_bytes() for path in (self.folder / "live").iterdir()}

    def keep(self) -> None:
        """Remember all of it, for `back`."""
        shutil.rmtree(self._before, ignore_errors=True)
        self._copy(self.folder, self._before)

    def back(self) -> None:
        """Go back to what was kept."""
        shutil.rmtree(self.folder)
        self._copy(self._before, self.folder)

    def let_time_pass(self) -> None:
        """A minute, as far as files that nobody holds are concerned."""
        left = (".tmp-*", ".akosha-snap-scratch", "sending-*", "akosha-snap-*")
        for path in [path for name in left for path in self.folder.rglob(name)]:
            os.utime(path, (path.stat().st_mtime - 60,) * 2)

    def _copy(self, source: Path, target: Path) -> None:
        """Databases of ours are written in place, everything else is replaced: a link does."""
        copied = {".sqlite", ".duckdb"}
        for path in [source, *sorted(source.rglob("*"))]:
            to = target / path.relative_to(source)
            if path.is_dir():
                to.mkdir(mode=0o700)
            elif path.suffix in copied and path.parent.name != "live":
                shutil.copy2(path, to)
            else:
                os.link(path, to)

    def check_store(self) -> list[str]:
        """Every manifest verifies at level data and, to the second reader, holds what was pushed."""
        root = self.folder / "store"
        state = tuple(sorted((str(p.relative_to(root)), p.stat().st_size) for p in root.rglob("*") if p.is_file()))
        state = tuple(entry for entry in state if ".tmp-" not in entry[0])
        manifests = sorted(name.split("/")[-2] for name, _ in state if name.endswith("/manifest.json"))
        if state in self._found_whole:
            return manifests
        if (root / "akosha-snap" / SYSTEM / "format.json").exists():
            assert second_reader.snapshots(root, SYSTEM) == manifests
        else:
            assert manifests == []
        try:
            result = api.verify(self.store, "all", level="data", system_id=SYSTEM)
            assert result.ok, result
        except (NothingThereError, StoreNotCreated):
            assert manifests == []
        for upload in manifests:
            assert second_reader.files(root, SYSTEM, upload) in self.known
        self._found_whole.add(state)
        return manifests

    def check_next_push(self) -> None:
        """It succeeds, uploads no chunk that a pack there has, leaves nothing behind, and the one after is warm."""
        before = set(self.packs())
        held = {chunk for pack in before for chunk in self._chunks(pack)}
        result = operations.push(self.folder)
        assert result.success
        assert result.warnings == []
        again = {chunk for pack in set(self.packs()) - before for chunk in self._chunks(pack)} & held
        assert not again, f"{len(again)} chunks were uploaded again"
        newest = self.check_store()[-1]
        assert newest == result.upload_id
        assert second_reader.files(self.folder / "store", SYSTEM, newest) == self.live()
        self.check_state()
        after = operations.push(self.folder)
        assert (after.unchanged, after.requests) == (True, 1)

    def check_state(self) -> None:
        """Nothing is left of what was killed but what serves the next push."""
        (own,) = (path for path in (self.folder / "state").iterdir() if re.fullmatch("[0-9a-f]{16}", path.name))
        assert {path.name for path in own.iterdir()} <= {"last-push", "lock", "mirror", "similar"}
        assert {path.name for path in (own / "mirror").iterdir()} == set(self.live())

    def packs(self) -> list[Path]:
        """The packs in the store."""
        return second_reader.pack_files(self.folder / "store", SYSTEM)

    def _chunks(self, pack: Path) -> set[bytes]:
        data = pack.read_bytes()
        footer = read_footer(data, len(data))
        lists = set(footer.lists)
        return {entry.hash for i, entry in enumerate(footer.entries()) if i not in lists}


def failed(outcome: Outcome, point: Any) -> str:
    """What a failure is told with."""
    return f"pulled {point} at {outcome.calls[-1] if outcome.calls else 'nothing'}"
