"""Snapshots that no push writes, with every hash right: damage, never a crash or a wrong file."""

from __future__ import annotations

import msgspec
import pytest
from helpers import MIB, Part, craft, prose

from akosha_snap.errors import DamageError
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


def test_a_list_whose_files_are_not_the_manifests(bench):
    chunk = prose(5000)

    def rename(manifest: Manifest) -> Manifest:
        tree = msgspec.to_builtins(manifest)
        file = tree["metadata"]["akosha_snap"]["files"][0]
        file["name"] = "g"
        file["full_file"]["uri"] = file["full_file"]["uri"].removesuffix("f") + "g"
        return msgspec.convert(tree, Manifest)

    craft(bench, [[Part(chunk)]], {"f": [chunk]}, lie_in_manifest=rename)
    with pytest.raises(DamageError, match="names other files"):
        bench.restore()
    assert kinds(bench.verify()) == {"chunk_list_damaged"}


@pytest.mark.parametrize("uri", ["../../etc/passwd", "", "systems/other/x/f", "a//b", "a\nb"])
def test_a_pointer_to_somewhere_else_is_damage(bench, uri):
    def lie(manifest: Manifest) -> Manifest:
        tree = msgspec.to_builtins(manifest)
        tree["metadata"]["akosha_snap"]["files"][0]["full_file"] |= {"uri": uri, "stored": True}
        return msgspec.convert(tree, Manifest)

    bench.store.put("systems/other/x/f", b"1")
    crafted = craft(bench, [[Part(b"1")]], {"f": [b"1"]}, lie_in_manifest=lie)
    result = bench.verify(level="data")
    assert not result.ok
    assert result.problems[0].snapshots == [crafted.upload_id]
