"""The frozen store of format version 1, and stores made today, through akosha-snap and through the second reader."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import memory_db
import pytest
import second_reader
from blake3 import blake3
from helpers import MIB, SYSTEM, Bench, Part, craft, noise, prose

from akosha_snap import api
from akosha_snap.errors import ConfigError
from akosha_snap.stores import open_store

FIXTURE = Path(__file__).parents[1] / "fixtures" / "v1"
STORE = FIXTURE / "store"
EXPECTED = json.loads((FIXTURE / "expected.json").read_bytes())
UPLOADS = sorted(EXPECTED)

PACKS = "store/akosha-snap/fixture/packs"
MANIFESTS = {
    "20261123T071501Z-fbcad508": "2cbbbc6620371b375321851d24154c9baec8ceb7ce4710e7bbaa136d179eb24f",
    "20261123T071502Z-584eb639": "953a071fee0e4ef96961ebbf41303c1f35750591c3efbe5701e4af4df0c62f71",
    "20261123T071503Z-8c61bf56": "b5debbcad55d680f2e9f0019b38dea8c14110d2ce8f71a4f35cf61aa21f28cb4",
}
FROZEN = {
    "expected.json": "6fca375d23537a81c3b818a9bf1630b36bd86494468199aa4d2553f9879c8275",
    "store/akosha-snap/fixture/format.json": "6bc0ad8b585536f2ca0790e82e7258b5de929b040125b59e2c5f911c1e84f53f",
    **{f"store/systems/fixture/{upload}/manifest.json": digest for upload, digest in MANIFESTS.items()},
} | {
    f"{PACKS}/{pack[:2]}/{pack}": pack
    for pack in (
        "36a9a8bebcfdc49f2ce848302dc81aecc992a170355acca850651e43ff3843c2",
        "8f556cf7fa4ac552c873391e8754c77ed86e7a36f4620505b17fb418444bd5af",
        "cfaa17dc709b505e4c18524c7b644a3701bdcc90c79246e17d7edaca66e2f33f",
    )
}
"""BLAKE3 of every file (of a pack, its name). A change means stores out there can no longer be read: never make it."""


def described(files: dict[str, bytes]) -> dict[str, dict[str, object]]:
    return {name: {"size": len(data), "blake3": blake3(data).hexdigest()} for name, data in files.items()}


def from_packs_alone(store: Path, system: str) -> list[dict[str, bytes]]:
    """The files of every chunk list in the store, without any manifest."""
    chunks, lists = second_reader.salvage(store, system)
    names = [second_reader.split(listed["hashes"]) for listed in lists]
    return [
        {file["name"]: b"".join(chunks[own[i]] for i in file["frames"]) for file in listed["files"]}
        for listed, own in zip(lists, names, strict=True)
    ]


# --- the frozen store -----------------------------------------------------------------------------------------


def test_the_fixture_never_changes():
    there = {path.relative_to(FIXTURE).as_posix(): path for path in FIXTURE.rglob("*") if path.is_file()}
    del there["README.md"]
    assert {name: blake3(path.read_bytes()).hexdigest() for name, path in there.items()} == FROZEN


def test_the_fixture_has_what_a_reader_must_cope_with():
    footers = [second_reader.read_footer(path.read_bytes()) for path in second_reader.pack_files(STORE, "fixture")]
    assert {len(bases) for footer in footers for bases in footer["bases"]} == {0, 1, 2}
    assert {codec for footer in footers for codec in footer["codecs"]} == {0, 1}
    manifest = second_reader.manifest_of(STORE, "fixture", UPLOADS[-1])
    assert [place["bases"] for place in manifest["metadata"]["akosha_snap"]["chunk_list"]] == [[], [0], [1]]
    assert {file["kind"] for file in manifest["metadata"]["akosha_snap"]["files"]} == {"duckdb", "wal", "plain"}


def test_the_second_reader_lists_the_fixture():
    assert second_reader.snapshots(STORE, "fixture") == UPLOADS


@pytest.mark.parametrize("upload", UPLOADS)
def test_the_second_reader_rebuilds_every_file(upload):
    assert described(second_reader.files(STORE, "fixture", upload)) == EXPECTED[upload]["files"]
    counts = second_reader.manifest_of(STORE, "fixture", upload)["metadata"]["akosha_snap"]["counts"]
    assert [counts[of] for of in ("conversations", "reflections")] == [
        EXPECTED[upload][of] for of in ("conversations", "reflections")
    ]


def test_the_packs_of_the_fixture_suffice_without_a_manifest(tmp_path):
    shutil.copytree(STORE / "akosha-snap", tmp_path / "akosha-snap")
    found = [described(files) for files in from_packs_alone(tmp_path, "fixture")]
    assert found == [EXPECTED[upload]["files"] for upload in UPLOADS]


@pytest.mark.parametrize("upload", UPLOADS)
def test_akosha_snap_restores_every_file(upload, tmp_path):
    api.restore(str(STORE), upload, system_id="fixture", to=tmp_path)
    assert described({path.name: path.read_bytes() for path in tmp_path.iterdir()}) == EXPECTED[upload]["files"]
    counts = api.show(str(STORE), upload, system_id="fixture").counts
    assert (counts.conversations, counts.reflections) == (
        EXPECTED[upload]["conversations"],
        EXPECTED[upload]["reflections"],
    )


def test_akosha_snap_lists_the_fixture():
    listed = api.snapshots(str(STORE), system_id="fixture")
    assert not listed.warnings
    assert {
        each.upload_id: (sorted(each.files), each.total_size_bytes, each.conversation_count)
        for each in listed.snapshots
    } == {
        upload: (sorted(of["files"]), sum(f["size"] for f in of["files"].values()), of["conversations"])
        for upload, of in EXPECTED.items()
    }


def test_akosha_snap_verifies_the_fixture_to_the_last_level():
    result = api.verify(str(STORE), "all", system_id="fixture", level="open")
    assert result.problems == []
    assert result.warnings == []
    assert sorted(result.snapshots) == UPLOADS


# --- stores of today ------------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path):
    """A system on a folder store."""
    return Bench(tmp_path, open_store(str(tmp_path / "store")))


def test_what_is_pushed_today_reads_as_the_document_says(tmp_path):
    store, live = tmp_path / "store", tmp_path / "live"
    live.mkdir()
    memory_db.build(live, conversations=120)
    (live / "noise").write_bytes(noise(600_000))  # several chunks, none of which compresses
    (live / "tiny").write_bytes(b"a")
    (live / "notes of todày.md").write_bytes(prose(300_000))
    pushed = []
    for session in range(3):
        if session:
            memory_db.live_session(live, seed=session, checkpoint=session == 1)  # the last leaves WALs
            (live / "noise").write_bytes(noise(600_000) + noise(session, "more"))
        for path in live.iterdir():
            os.utime(path, (1_700_000_000, 1_700_000_000))  # long unchanged: no push waits for it to settle
        paths = sorted(path for path in live.iterdir() if path.suffix != ".wal")
        result = api.push(paths, str(store), system_id=SYSTEM, state_dir=tmp_path / "state", stage_in_child=False)
        pushed.append((result.upload_id, {path.name: path.read_bytes() for path in live.iterdir()}))
    assert second_reader.snapshots(store, SYSTEM) == [upload for upload, _ in pushed]
    assert "reflection.duckdb.wal" in pushed[-1][1]
    rebuilt = []
    for upload, there in pushed:
        api.restore(str(store), upload, system_id=SYSTEM, to=tmp_path / upload)
        read = second_reader.files(store, SYSTEM, upload)
        assert read == {path.name: path.read_bytes() for path in (tmp_path / upload).iterdir()}
        assert {name: blake3(data).hexdigest() for name, data in read.items()} == {
            name: blake3(data).hexdigest() for name, data in there.items()
        }
        rebuilt.append(read)
    assert sorted(map(repr, map(described, from_packs_alone(store, SYSTEM)))) == sorted(
        map(repr, map(described, rebuilt))
    )
    codecs = {codec for path in second_reader.pack_files(store, SYSTEM) for codec in codecs_of(path)}
    assert codecs == {0, 1}


def codecs_of(pack: Path) -> list[int]:
    return second_reader.read_footer(pack.read_bytes())["codecs"]


def test_bases_in_the_same_pack_and_in_another(bench, tmp_path):
    first, second = prose(50_000, 1), prose(50_000, 2)
    third = first[:20_000] + second[:20_000] + noise(500)
    fourth = third + b"a little more"
    packs = [[Part(first), Part(second, (first,))], [Part(third, (second, first)), Part(fourth, (third,))]]
    crafted = craft(bench, packs, {"one": [fourth, first], "two": [third, third]})
    expected = {"one": fourth + first, "two": third + third}
    assert second_reader.files(tmp_path / "store", SYSTEM, crafted.upload_id) == expected
    assert bench.restored() == expected
    assert expected in from_packs_alone(tmp_path / "store", SYSTEM)


ODD_NAMES = [".hidden", "..x..", "...", "-", "~", "manifest.json", "memories.json", "é", "x" * 250, "x" * 255]
ODD_NAMES += ["10:30.txt", "why?", "a*b", "a|b", "<b>", '"q"', "a b", "line\nbreak", "back\\slash", "\x7f", "\x85"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_is_pushed_can_be_read(name, bench, tmp_path):
    data = prose(2_000)
    try:
        pushed = bench.push({name: data})
    except ConfigError:
        assert not (tmp_path / "store").exists()
        return
    assert second_reader.files(tmp_path / "store", SYSTEM, pushed.upload_id) == {name: data}
    assert bench.restored() == {name: data}
    assert bench.verify(level="open").problems == []


def test_the_second_reader_refuses_what_was_changed(bench, tmp_path):
    upload = bench.push({"notes": prose(MIB // 4)}).upload_id
    for key, data in bench.objects().items():
        if key.endswith("format.json"):
            continue
        path = tmp_path / "store" / key
        path.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
        with pytest.raises((second_reader.RefusedError, ValueError)):
            second_reader.files(tmp_path / "store", SYSTEM, upload)
        path.write_bytes(data)
    assert second_reader.files(tmp_path / "store", SYSTEM, upload)
