"""Every object of a store and every region of its packs, harmed in every way, one at a time.

Each must be found at the level that promises it and at all deeper ones, by the name of the object and of exactly
the snapshots it touches; those must never restore to wrong bytes, and all others must restore. Which they are is
asked of the second reader, which has no code in common with what is tested.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import second_reader
from helpers import MIB, SYSTEM, Bench, copied, flipped, noise, prose

from akosha_snap import api
from akosha_snap.errors import DamageError, NewerFormatError, NothingThereError
from akosha_snap.frames import TRAILER_SIZE, read_footer, read_trailer
from akosha_snap.manifest.keys import format_key, manifest_key, system_marker, upload_marker
from akosha_snap.snapshot import packer, storing
from akosha_snap.snapshot.damage import read_stored_packs
from akosha_snap.snapshot.results import Level
from akosha_snap.snapshot.system import System
from akosha_snap.stores import DirectoryStore, MemoryStore

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


def mixed_up(pack: bytes, other: bytes) -> Iterator[tuple[str, bytes, Level, Touched]]:
    """A pack with two of its frames changed for each other, and with the trailer of another: its size is the same."""
    footer = read_footer(pack, len(pack))
    frames = [entry for i, entry in enumerate(footer.entries()) if i not in footer.lists]
    for one, two in itertools.pairwise(frames):
        size = min(one.stored_size, two.stored_size)
        first, second = slice(one.offset, one.offset + size), slice(two.offset, two.offset + size)
        changed = bytearray(pack)
        changed[first], changed[second] = pack[second], pack[first]
        yield "swap frames", bytes(changed), "data", "those that need the bytes"
    yield "swap trailer", pack[:-TRAILER_SIZE] + other[-TRAILER_SIZE:], "index", "those that need the pack"


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
            zeros = data[:start] + bytes(end - start) + data[end:]
            yield Harm(f"zeros for {name}", key, zeros, level, whom)  # type: ignore[arg-type]
        for keep in (len(data) - 1, len(data) // 2, 0):
            yield Harm(f"truncate {kind}", key, data[:keep], "manifest", touched)
        yield Harm(f"extend {kind}", key, data + b"\0", "manifest", touched)
        if kind != "manifest":  # a snapshot without a manifest is none: see below
            yield Harm(f"delete {kind}", key, None, "manifest", touched)
        others = [other for other in objects if other != key and kind_of(other) == kind]
        for other in others[:1]:
            yield Harm(f"swap {kind}", key, objects[other], "manifest", touched)
            for what, changed, level, whom in mixed_up(data, objects[other]) if kind == "pack" else ():
                yield Harm(what, key, changed, level, whom)


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


def test_two_objects_that_have_changed_places(store):
    """Any two packs, any two manifests, any two whole files: with all that they touch.

    Both are named, unless the one holds the chunk lists of all that need the other: who does is not known then.
    """
    found: Counter[str] = Counter()
    both = 0
    for one, two in itertools.combinations(store.objects, 2):
        if kind_of(one) != kind_of(two):
            continue
        what = f"{one} and {two}"
        (store.root / one).write_bytes(store.objects[two])
        (store.root / two).write_bytes(store.objects[one])
        try:
            refused = store.refused() if kind_of(one) == "pack" else {key.split("/")[2] for key in (one, two)}
            result = store.bench.verify(level="manifest")
            named = {problem.object for problem in result.problems}
            assert named == {one, two} or (kind_of(one) == "pack" and named and named < {one, two}), what
            both += len(named) == 2
            touched = {upload_id for problem in result.problems for upload_id in problem.snapshots}
            assert touched == refused, what
            check_restores(store, touched, what)
            found[kind_of(one)] += 1
        finally:
            for key in (one, two):
                (store.root / key).write_bytes(store.objects[key])
    print(f"\nfound where promised: {dict(found)}, both named {both} times")
    assert found["pack"] > 10
    assert found["manifest"] == 10


def test_a_harmed_damage_record_is_noticed(tmp_path):
    """Any bit of it, and any byte that is missing: it is known to be wrong, and never believed half."""
    bench = Bench(tmp_path)
    upload_id = bench.push({"a": noise(100_000)}).upload_id
    bench.store.put(bench.own_pack(upload_id), flipped(bench.store.get(bench.own_pack(upload_id)), 8_000))
    key = api.repair(bench.store, system_id=SYSTEM, now=bench.clock).record
    record = bench.store.get(key)
    system = System(bench.store, SYSTEM)
    assert read_stored_packs(system, system.listing()).damaged
    newer = 0
    harmed = [flipped(record, bit) for bit in range(8 * len(record))] + [record[:n] for n in range(len(record))]
    for data in harmed:
        bench.store.put(key, data)
        try:
            there = read_stored_packs(system, system.listing())
        except NewerFormatError:
            newer += 1
            continue
        assert there.warnings
        assert not there.damaged
    assert newer < 10, "a flip in the number of the format"
    print(f"\n{len(harmed)} harmed records: {len(harmed) - newer} noticed, {newer} called newer")
    bench.store.put(key, record[:-1])
    assert api.repair(bench.store, system_id=SYSTEM, now=bench.clock).record > key, "the next repair writes it again"


def test_a_harmed_mark_of_prune_costs_no_snapshot(tmp_path, monkeypatch):
    """What is kept needs what it needs, whatever a mark says."""
    monkeypatch.setattr(storing, "_LIST_DEPTH", 0)
    bench = Bench(tmp_path)
    for number in range(4):
        bench.push({"a": noise(40_000, number)})
        bench.clock.advance(60)
    bench.prune(keep_last=2)
    (key,) = [key for key in bench.objects() if "/prune/" in key]
    mark = bench.store.get(key)
    bench.clock.advance(90_000)
    whole, kept = bench.store, bench.uploads()
    for data in [flipped(mark, bit) for bit in range(0, 8 * len(mark), 13)] + [b"", mark[:100]]:
        bench.store = copied(whole)
        bench.store.put(key, data)
        try:
            bench.prune(keep_last=2)
        except NewerFormatError:
            assert bench.store.get(key) == data
        assert bench.uploads() == kept
        assert bench.verify(level="data").ok


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.stress)])
def test_repair_and_a_push_heal_it(store, tmp_path, every, monkeypatch):
    """Whatever was harmed: then today's files are a whole snapshot, and once the others are pruned all is well."""
    monkeypatch.setattr(second_reader, "read_pack", _unchecked)  # a pack may be damaged where nobody needs it any more
    whole = MemoryStore()
    for key, data in store.objects.items():
        whole.put(key, data)
    for marker in [system_marker(SYSTEM), *(upload_marker(SYSTEM, upload_id) for upload_id in store.uploads)]:
        whole.put(marker, b"")
    today = {**store.files[3], **store.files[4]}
    healed = newer = 0
    for number, harm in enumerate(list(harms(store.objects))[::every]):
        what = f"{harm.what}: {harm.key}"
        (tmp_path / str(number)).mkdir()
        bench = Bench(tmp_path / str(number), copied(whole))
        bench.clock.advance(3600)
        bench.delete(harm.key) if harm.data is None else bench.store.put(harm.key, harm.data)
        try:
            result = api.repair(bench.store, system_id=SYSTEM, now=bench.clock)
        except NewerFormatError:
            newer += 1
            continue
        assert result.problems, what
        pushed = bench.push(today, recheck=True)
        assert bench.verify("latest", level="data").ok, what
        assert as_second_reader_of(bench, str(pushed.upload_id)) == today, what
        bench.prune(no_push_running=True, grace=0)
        assert bench.verify("all", level="open").ok, what
        assert bench.restored() == today, what
        api.repair(bench.store, system_id=SYSTEM, now=bench.clock)
        assert not bench.push({**today, "new": b"1"}, recheck=True).warnings, what
        shutil.rmtree(bench.folder)
        healed += 1
    print(f"\n{healed} healed, {newer} called newer")
    assert healed >= 230 // every - 7


def as_second_reader_of(bench: Bench, upload_id: str) -> dict[str, bytes]:
    """The files of one snapshot as the second reader has them, whatever has become of the others."""
    root = bench.folder / "copy"
    for key, data in bench.objects().items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return second_reader.files(root, SYSTEM, upload_id)
