"""Snapshots that no push writes, with every hash right: damage, never a crash or a wrong file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from helpers import MIB, Part, craft, noise, prose

from akosha_snap.errors import DamageError
from akosha_snap.frames import MAX_DEPTH
from akosha_snap.manifest import ChunkList, Manifest
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
