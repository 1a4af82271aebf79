"""Snapshots that no push writes, with every hash right: damage, never a crash or a wrong file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest
from fuzz.targets import sealed_manifest
from helpers import MIB, SYSTEM, Part, craft, noise, prose

from akosha_snap.errors import AkoshaSnapError, ConflictError, DamageError
from akosha_snap.frames import MAX_DEPTH
from akosha_snap.manifest import ChunkList, Manifest
from akosha_snap.manifest.keys import manifest_key
from akosha_snap.snapshot import placing
from akosha_snap.snapshot.results import VerifyResult


def kinds(result: VerifyResult) -> set[str]:
    return {problem.kind for problem in result.problems}


def claiming(honest: ChunkList, keep: list[int], bases: list[list[int]], order: list[int]) -> ChunkList:
    """The list with the frames `keep` alone, these `bases`, and its packs in another order."""

    def kept(column: list[int]) -> list[int]:
        return [column[i] for i in keep]

    files = [msgspec.structs.replace(file, frames=[keep.index(i) for i in file.frames]) for file in honest.files]
    return msgspec.structs.replace(
        honest,
        packs=[honest.packs[i] for i in order],
        pack_sizes=[honest.pack_sizes[i] for i in order],
        hashes=b"".join(honest.hash(i) for i in keep),
        raw_sizes=kept(honest.raw_sizes),
        pack=[order.index(i) for i in kept(honest.pack)],
        offsets=kept(honest.offsets),
        stored_sizes=kept(honest.stored_sizes),
        codecs=kept(honest.codecs),
        bases=bases,
        files=files,
    )


def test_a_file_that_is_not_what_its_hash_says(bench):
    chunk = prose(5000)
    craft(
        bench,
        [[Part(chunk)]],
        {"f": [chunk]},
        lie=lambda honest: msgspec.structs.replace(
            honest, files=[msgspec.structs.replace(honest.files[0], blake3=bytes(32))]
        ),
    )
    with pytest.raises(DamageError, match="f does not have the BLAKE3"):
        bench.restore()
    assert not bench.verify(level="open").ok


def test_a_frame_that_is_not_the_chunk_it_is_called(bench):
    chunk = prose(5000)
    craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie=lambda honest: msgspec.structs.replace(honest, hashes=bytes(32)))
    with pytest.raises(DamageError, match="its hash does not match"):
        bench.restore()
    assert kinds(bench.verify(level="data")) == {"footer_disagrees", "chunk_damaged"}


def test_a_frame_that_claims_another_base(bench):
    one, two, based = prose(5000, 1), prose(5000, 2), prose(4000, 1) + prose(1000, 3)
    crafted = craft(
        bench,
        [[Part(one), Part(two), Part(based, (one,))]],
        {"f": [based]},
        lie=lambda honest: msgspec.structs.replace(honest, bases=[[], [], [1]]),
    )
    with pytest.raises(DamageError, match="does not decode"):
        bench.restore()
    assert kinds(bench.verify(level="index")) == {"footer_disagrees"}
    assert crafted.upload_id in bench.verify(level="data").problems[0].snapshots


def test_packs_that_claim_to_need_each_other(bench):
    a, b = [prose(5000, 1), prose(5000, 2)], [prose(5000, 3), prose(5000, 4)]
    packs = [list(map(Part, a)), list(map(Part, b)), [Part(prose(100))]]
    craft(bench, packs, {"f": [a[0], b[0]]}, lie=lambda honest: claiming(honest, [0, 2], [[], [0]], [0, 1, 2]))
    craft(bench, packs, {"g": [a[1], b[1]]}, lie=lambda honest: claiming(honest, [1, 3], [[1], []], [1, 0, 2]))
    assert bench.verify(level="manifest").ok
    assert not bench.verify(level="data").ok


def test_a_frame_that_declares_one_gib(bench):
    chunk = bytes(100_000)
    craft(
        bench,
        [[Part(chunk)]],
        {"f": [chunk]},
        lie=lambda honest: msgspec.structs.replace(
            honest, raw_sizes=[MIB], files=[msgspec.structs.replace(honest.files[0], size=MIB)]
        ),
    )
    with pytest.raises(DamageError, match="declares 100000 bytes where 1048576 are named"):
        bench.restore()


def changed(manifest: Manifest, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Manifest:
    """The manifest after `change(manifest, metadata.akosha_snap)`, both as plain dicts."""
    tree = msgspec.to_builtins(manifest)
    change(tree, tree["metadata"]["akosha_snap"])
    return msgspec.convert(tree, Manifest)


@pytest.mark.parametrize("lie", [{"name": "g"}, {"chunks": 2}, {"chunks": 0}, {"size": 4999}, {"blake3": bytes(32)}])
def test_a_list_whose_files_are_not_the_manifests(bench, lie):
    chunk = prose(5000)
    crafted = craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie_in_files=lambda files: [files[0]._replace(**lie)])
    with pytest.raises(DamageError, match="names other files"):
        bench.restore()
    assert kinds(bench.verify()) == {"chunk_list_damaged"}
    result = bench.push({"f": chunk})
    assert crafted.upload_id in result.warnings[0]
    assert not result.unchanged
    assert bench.verify("latest", level="data").ok


def rename(tree: dict[str, Any], snapshot: dict[str, Any]) -> None:
    file = snapshot["files"][0]
    file["name"] = "g"
    file["full_file"]["uri"] = file["full_file"]["uri"].removesuffix("f") + "g"
    tree["files"] = ["g"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rename, "another root"),
        (lambda tree, snapshot: snapshot.update(root="0" * 64), "another root"),
        (lambda tree, snapshot: snapshot["files"][0].update(size=1), "another root"),
        (lambda tree, snapshot: tree.update(files=["g"]), "other files to Akosha"),
        (lambda tree, snapshot: tree.update(files=[]), "other files to Akosha"),
        (lambda tree, snapshot: tree.update(uploaded_at="2026-11-23T07:15:00+01:00"), "in UTC"),
        (lambda tree, snapshot: tree.update(uploaded_at="2026-11-23T07:15:00"), "in UTC"),
        (lambda tree, snapshot: snapshot.update(chunk_list=snapshot["chunk_list"] * 2), "nothing needs"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_damage_and_passed_over(bench, change, problem):
    chunk = prose(5000)
    crafted = craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie_in_manifest=lambda honest: changed(honest, change))
    with pytest.raises(DamageError, match=problem):
        bench.restore()
    assert [(p.kind, p.snapshots) for p in bench.verify().problems] == [("manifest_damaged", [crafted.upload_id])]
    assert not bench.push({"f": chunk}).unchanged
    assert bench.restored() == {"f": chunk}


@pytest.mark.parametrize("uri", ["../../etc/passwd", "", "systems/other/x/f", "a//b", "a\nb"])
@pytest.mark.parametrize(
    ("consistent", "problem"), [(True, "manifest of another snapshot"), (False, "other files to Akosha")]
)
def test_a_pointer_to_somewhere_else_is_damage(bench, uri, consistent, problem):
    def point(tree: dict[str, Any], snapshot: dict[str, Any]) -> None:
        snapshot["files"][0]["full_file"] |= {"uri": uri, "stored": True}
        tree["files"] = [uri.rpartition("/")[2] if consistent else "another"]

    bench.store.put("systems/other/x/f", b"1")
    crafted = craft(bench, [[Part(b"1")]], {"f": [b"1"]}, lie_in_manifest=lambda honest: changed(honest, point))
    result = bench.verify(level="data")
    assert [(p.kind, p.snapshots) for p in result.problems] == [("manifest_damaged", [crafted.upload_id])]
    assert problem in result.problems[0].detail


def test_a_list_that_lies_of_a_size_is_not_taken_over_by_the_next_push(bench):
    """The chunk is in the store, but what says so names a size it does not have: it is uploaded again."""
    chunk, other = prose(5000, 1), prose(6000, 2)

    def lie(honest: ChunkList) -> ChunkList:
        files = [msgspec.structs.replace(honest.files[0], size=5001 + 6000)]
        return msgspec.structs.replace(honest, raw_sizes=[5001, 6000], files=files)

    craft(bench, [[Part(chunk), Part(other)]], {"f": [chunk, other]}, lie=lie)
    with pytest.raises(DamageError, match="named"):
        bench.restore()
    result = bench.push({"g": chunk, "h": other})
    assert [(file.name, file.chunks_new) for file in result.files] == [("g", 1), ("h", 0)]
    assert bench.restored() == {"g": chunk, "h": other}
    assert bench.verify("latest", level="data").ok


def test_the_deepest_chain_of_bases_is_taken_over_and_not_made_deeper(bench):
    chain = [prose(3000, "chain")]
    for i in range(MAX_DEPTH - 1):
        chain.append(chain[-1][: 2000 + i] + noise(20, i) + chain[-1][2000 + i :])
    parts = [Part(chunk, tuple(chain[i - 1 : i])) for i, chunk in enumerate(chain)]
    craft(bench, [parts], {"f": [chain[-1]]})
    assert bench.restored() == {"f": chain[-1]}
    files = {"f": chain[-1], "g": chain[-1] + noise(50)}
    assert [file.chunks_new for file in bench.push(files).files] == [0, 1]
    assert bench.restored() == files
    assert bench.verify(level="data").ok


def test_chains_that_two_snapshots_make_together_are_not_taken_over(bench):
    """Each is of the deepest kind allowed; a push that built on both would write what nobody can restore."""
    chain = [prose(3000, "chain")]
    for i in range(2 * MAX_DEPTH - 2):
        chain.append(chain[-1][: 2000 + i] + noise(20, i) + chain[-1][2000 + i :])
    middle = MAX_DEPTH - 1
    parts = [Part(chunk, tuple(chain[i - 1 : i])) for i, chunk in enumerate(chain)]
    craft(bench, [[Part(chain[middle]), *parts[middle + 1 :]]], {"g": [chain[-1]]})
    bench.clock.advance(60)
    craft(bench, [parts[: middle + 1]], {"f": [chain[middle]]})
    files = {"f": chain[middle], "g": chain[-1]}
    bench.push(files)
    assert bench.restored() == files
    assert bench.verify(level="data").ok


def test_two_frames_in_one_place_are_damage(bench):
    one, two = prose(5000, 1), prose(6000, 2)
    craft(
        bench,
        [[Part(one), Part(two)]],
        {"f": [one, two]},
        lie=lambda honest: msgspec.structs.replace(honest, offsets=[honest.offsets[0], honest.offsets[1] - 1]),
    )
    with pytest.raises(DamageError, match="one lies in the other"):
        bench.restore()
    assert kinds(bench.verify()) == {"chunk_list_damaged"}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000])
def test_endless_chains_of_bases_are_refused_by_every_reader_at_once(bench, depth):
    chunk = prose(5000)

    def lie(honest: ChunkList) -> ChunkList:
        return msgspec.structs.replace(
            honest,
            hashes=honest.hashes * depth,
            raw_sizes=[1] * (depth - 1) + honest.raw_sizes,
            pack=[0] * depth,
            offsets=list(range(depth)),
            stored_sizes=[1] * (depth - 1) + honest.stored_sizes,
            codecs=[1] * depth,
            bases=[[], *([i] for i in range(depth - 1))],
            files=[msgspec.structs.replace(honest.files[0], frames=[depth - 1])],
        )

    craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie=lie)
    started = time.monotonic()
    with pytest.raises(DamageError, match="one after another"):
        bench.restore()
    assert kinds(bench.verify(level="open")) == {"chunk_list_damaged"}
    assert not bench.push({"f": chunk}).unchanged
    assert bench.restored() == {"f": chunk}
    assert time.monotonic() - started < 10


def test_a_frame_that_is_its_own_base_is_refused(bench):
    chunk = prose(5000)
    craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie=lambda honest: msgspec.structs.replace(honest, bases=[[0]]))
    with pytest.raises(DamageError, match="impossible place"):
        bench.restore()
    assert kinds(bench.verify(level="data")) == {"chunk_list_damaged"}


def test_a_file_of_terabytes_in_a_few_kilobytes_is_refused_before_anything_is_written(bench, tmp_path):
    chunk, times = bytes(MIB), 1_900_000
    craft(
        bench,
        [[Part(chunk)]],
        {"f": [chunk]},
        lie=lambda honest: msgspec.structs.replace(
            honest, files=[msgspec.structs.replace(honest.files[0], size=times * MIB, frames=[0] * times)]
        ),
    )
    with pytest.raises(AkoshaSnapError, match=r"No space left on device for [0-9]+ bytes") as caught:
        bench.restore(to=tmp_path / "target")
    assert caught.value.exit_code == 1
    assert list((tmp_path / "target").iterdir()) == []


def test_packs_by_the_thousand_that_are_not_there_take_no_quadratic_time(bench):
    count = 20_000

    def lie(honest: ChunkList) -> ChunkList:
        return msgspec.structs.replace(
            honest,
            packs=[*(noise(32, i) for i in range(count)), b""],
            pack_sizes=[100] * count + [0],
            hashes=b"".join(noise(32, i) for i in range(count)),
            raw_sizes=[1] * count,
            pack=list(range(count)),
            offsets=[0] * count,
            stored_sizes=[1] * count,
            codecs=[0] * count,
            bases=[[]] * count,
            files=[msgspec.structs.replace(honest.files[0], size=1, frames=[0])],
        )

    craft(bench, [[Part(prose(5000))]], {"f": [prose(5000)]}, lie=lie)
    started = time.monotonic()
    assert len(bench.verify(level="data").problems) == count
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda tree, snapshot: snapshot.update(parent="\x1b]0;title\x07"), "impossible tool or parent"),
        (lambda tree, snapshot: snapshot.update(tool="\x1b[2J"), "impossible tool or parent"),
        (lambda tree, snapshot: snapshot["cost"].update(bytes_uploaded=-1), "Expected `int` >= 0"),
        (lambda tree, snapshot: snapshot["files"][0]["full_file"].update(sha256="\x1b[2J"), "impossible file"),
    ],
)
def test_what_a_terminal_would_obey_and_numbers_that_cannot_be_are_damage(bench, change, problem):
    crafted = craft(bench, [[Part(b"1")]], {"f": [b"1"]})
    key = manifest_key(SYSTEM, crafted.upload_id)
    tree = json.loads(bench.store.get(key))
    change(tree, tree["metadata"]["akosha_snap"])
    bench.store.put(key, sealed_manifest(tree))
    with pytest.raises(DamageError, match=problem):
        bench.restore()
    assert kinds(bench.verify()) == {"manifest_damaged"}


@pytest.mark.parametrize("number", [2**63, 2**64, 10**400])
def test_numbers_beyond_64_bits_are_damage(bench, number):
    crafted = craft(bench, [[Part(b"1")]], {"f": [b"1"]})
    key = manifest_key(SYSTEM, crafted.upload_id)
    tree = json.loads(bench.store.get(key))
    tree["metadata"]["akosha_snap"]["cost"]["bytes_uploaded"] = number
    bench.store.put(key, sealed_manifest(tree))
    with pytest.raises(DamageError, match="does not parse"):
        bench.restore()


@pytest.mark.parametrize("codec", [-1, 256, 2**40])
def test_a_codec_that_cannot_be_does_not_stop_the_next_push(bench, codec):
    chunk = prose(5000)
    craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie=lambda honest: msgspec.structs.replace(honest, codecs=[codec]))
    bench.push({"f": chunk})
    assert bench.restored() == {"f": chunk}


@pytest.mark.parametrize(
    "name", ["C:x", "C:\\x", "x:stream", "NUL", "nul.txt", "Con .tar.gz", "COM1", "LPT¹.x", "a.", "a "]
)
def test_names_that_mean_something_else_to_windows(name):
    assert not placing._is_name_on_windows(name)


@pytest.mark.parametrize("name", ["reflection.duckdb", "nul-1", "console", "com", "com10", ".hidden", "a b", "日本"])
def test_names_that_mean_themselves_to_windows(name):
    assert placing._is_name_on_windows(name)


class TestNamesThatDifferInCaseAlone:
    FILES: ClassVar = {"Notes": b"1", "notes": b"2"}

    def test_are_two_files_where_the_folder_knows_two(self, bench):
        bench.push(self.FILES)
        assert bench.restored() == self.FILES

    def test_are_refused_where_one_would_replace_the_other(self, bench, monkeypatch, tmp_path):
        bench.push(self.FILES)
        monkeypatch.setattr(placing, "_are_one", lambda *_: True)
        for force in (False, True):
            with pytest.raises(ConflictError, match="'Notes' and 'notes' are one name"):
                bench.restore(to=tmp_path / "target", force=force)
        assert list((tmp_path / "target").iterdir()) == []
        bench.restore(to=tmp_path / "target", file="notes")
        assert (tmp_path / "target" / "notes").read_bytes() == b"2"


def test_a_target_behind_a_symlink_is_the_users_own_choice(bench, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    bench.push({"f": b"1"})
    bench.restore(to=tmp_path / "link")
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["f"]
