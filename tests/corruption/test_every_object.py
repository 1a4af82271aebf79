"""Every object of a store and every region of its packs, harmed in every way, one at a time.

Each must be found at the level that promises it and at all deeper ones, by the name of the object and of exactly
the snapshots it touches; those must never restore to wrong bytes, and all others must restore. Which they are is
asked of the second reader, which has no code in common with what is tested.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import second_reader
from helpers import MIB, SYSTEM, Bench, flipped, noise, prose

from akosha_snap import api
from akosha_snap.errors import DamageError, NewerFormatError, NothingThereError
from akosha_snap.frames import TRAILER_SIZE, read_footer, read_trailer
from akosha_snap.manifest.keys import format_key, manifest_key
from akosha_snap.snapshot import packer
from akosha_snap.snapshot.results import Level
from akosha_snap.stores import DirectoryStore

LEVELS: list[Level] = ["manifest", "index", "data", "open"]

Touched = Literal["those that need the bytes", "those that need the pack", "all", "its own"]


class Harm(NamedTuple):
    """What is done to an object, the first level that must find it, and which snapshots that touches."""

    what: str
    key: str
    data: bytes | None
    level: Level
    touched: Touched


class Store:
    """A folder store with five snapshots, as it was and as it is."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "store"
        self.bench = Bench(folder, DirectoryStore(self.root))
        text = prose(150_000, "text")
        self.files = [
            {"a": text, "b": noise(40_000, 1)},
            {"a": text[:60_000] + prose(3_000, 2) + text[60_000:], "b": noise(40_000, 1)},
            {"a": text[:90_000] + prose(3_000, 3) + text[90_000:], "c": noise(20_000, 4)},
            {"a": text[:120_000] + prose(2_000, 5), "c": noise(20_000, 4)},
            {"d": prose(30_000, 6)},
        ]
        self.uploads = [str(self.bench.push(one, full_file=i == 3).upload_id) for i, one in enumerate(self.files)]
        self.objects = self.bench.objects()

    def refused(self) -> set[str]:
        """The snapshots that the second reader cannot read."""
        return {upload_id for upload_id in self.uploads if not self._reads(upload_id)}

    def _reads(self, upload_id: str) -> bool:
        try:
            second_reader.files(self.root, SYSTEM, upload_id)
        except Exception:  # of whatever kind: it has no errors of its own for every damage
            return False
        return True


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packer, "PACK_TARGET", MIB // 16)
        patch.setattr(os, "fsync", lambda _: None)  # hundreds of restores: what survives a crash is tested elsewhere
        yield Store(tmp_path_factory.mktemp("corruption"))


def regions(pack: bytes) -> Iterator[tuple[str, int, int, Level, Touched]]:
    """Each region of a pack: what it is, where it starts and ends, the level that reads it, whom it touches."""
    footer_end = len(pack) - TRAILER_SIZE
    footer_start = footer_end - read_trailer(pack[footer_end:])
    footer = read_footer(pack, len(pack))
    for i, entry in enumerate(footer.entries()):
        is_list = i in footer.lists
        end = entry.offset + entry.stored_size
        level: Level = "manifest" if is_list else "data"
        yield "chunk list" if is_list else "frame", entry.offset, end, level, "those that need the bytes"
    yield "footer", footer_start, footer_end, "index", "those that need the pack"
    yield "trailer", footer_end, len(pack), "index", "those that need the pack"


def kind_of(key: str) -> str:
    if key == format_key(SYSTEM):
        return "format.json"
    return "manifest" if key.endswith("manifest.json") else "pack" if "/packs/" in key else "full file"


def harms(objects: dict[str, bytes]) -> Iterator[Harm]:
    """Everything that is tried."""
    for key, data in objects.items():
        kind = kind_of(key)
        touched: Touched = {  # type: ignore[assignment]
            "format.json": "all", "manifest": "its own", "pack": "those that need the pack", "full file": "its own"
        }[kind]  # fmt: skip
        places = [(kind, 0, len(data), "data" if kind == "full file" else "manifest", touched)]
        for name, start, end, level, whom in regions(data) if kind == "pack" else places:
            for at in sorted({start, (start + end) // 2, end - 1}):
                yield Harm(f"flip in {name}", key, flipped(data, 8 * at + 1), level, whom)  # type: ignore[arg-type]
        for keep in (len(data) - 1, len(data) // 2, 0):
            yield Harm(f"truncate {kind}", key, data[:keep], "manifest", touched)
        yield Harm(f"extend {kind}", key, data + b"\0", "manifest", touched)
        if kind != "manifest":  # a snapshot without a manifest is none: see below
            yield Harm(f"delete {kind}", key, None, "manifest", touched)
        others = [other for other in objects if other != key and kind_of(other) == kind]
        for other in others[:1]:
            yield Harm(f"swap {kind}", key, objects[other], "manifest", touched)


def expected(store: Store, harm: Harm, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    if harm.touched == "all":
        return set(store.uploads)
    if harm.touched == "its own":
        return {harm.key.split("/")[2]}
    if harm.touched == "those that need the bytes":  # the second reader hashes packs, which hits all that need it
        with monkeypatch.context() as patch:
            patch.setattr(second_reader, "read_pack", _unchecked)
            return store.refused()
    return store.refused()


def _unchecked(root: Path, system: str, pack: bytes) -> bytes:
    return (root / "akosha-snap" / system / "packs" / pack.hex()[:2] / pack.hex()).read_bytes()


def check_restores(store: Store, touched: set[str], what: str) -> None:
    """What is not touched restores; what is never restores to anything else than it was."""
    for upload_id, files in zip(store.uploads, store.files, strict=True):
        folder = store.bench.new_folder()
        try:
            assert store.bench.restored(upload_id, to=folder) == files, what
        except (DamageError, NewerFormatError):
            assert upload_id in touched, what
            assert not folder.exists() or not list(folder.iterdir()), what
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def test_every_harm_is_found_and_touches_what_it_is_said_to(store, monkeypatch):
    found: Counter[tuple[str, str]] = Counter()
    newer = 0
    for harm in harms(store.objects):
        what = f"{harm.what}: {harm.key}"
        path = store.root / harm.key
        path.unlink() if harm.data is None else path.write_bytes(harm.data)
        try:
            touched = expected(store, harm, monkeypatch)
            first = None
            for level in LEVELS[:3]:
                result = store.bench.verify(level=level)
                if result.ok:
                    continue
                first = first or level
                named = {problem.object for problem in result.problems}
                assert named == {harm.key}, what
                assert {one for problem in result.problems for one in problem.snapshots} == touched, what
            assert first == harm.level, what
            assert not result.ok, what
            check_restores(store, touched, what)
            found[harm.what, first] += 1
        except NewerFormatError:  # the flip made another number of a version, which says newer, never corrupt
            assert "flip" in harm.what, what
            newer += 1
        finally:
            path.write_bytes(store.objects[harm.key])
    assert newer == sum("/packs/" in key for key in store.objects), "the last byte of a pack, its version"
    assert sum(found.values()) > 150
    print(f"\n{sum(found.values())} found where promised, {newer} called newer")
    for (what, level), count in sorted(found.items()):
        print(f"  {what:25} level {level:8} {count}")


def test_a_deleted_manifest_is_said_by_what_it_leaves(store):
    """The snapshot does not exist any more, so no level can find it; all others are whole."""
    for i, upload_id in enumerate(store.uploads):
        path = store.root / manifest_key(SYSTEM, upload_id)
        data = path.read_bytes()
        path.unlink()
        try:
            with pytest.raises(NothingThereError):
                store.bench.restore(upload_id)
            result = store.bench.verify(level="data")
            assert result.ok
            is_a_parent = 0 < i < len(store.uploads) - 1
            assert any(upload_id in warning for warning in result.warnings) == is_a_parent
            if i == len(store.uploads) - 1:
                assert "a manifest is lost" in api.repair(store.bench.store, system_id=SYSTEM).warnings[-1]
        finally:
            path.write_bytes(data)
