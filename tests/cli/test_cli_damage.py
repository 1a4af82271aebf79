"""A store that was harmed: said by name, with its exit code, and nothing half done is left."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import akosha_snap
from akosha_snap.manifest import decode_manifest
from akosha_snap.manifest.keys import manifest_key, pack_key
from akosha_snap.snapshot.results import PushResult

GIANT = bytes.fromhex("28b52ffd a0") + (1 << 30).to_bytes(4, "little")
"""The head of a zstd frame that declares 1 GiB."""


class Harmed:
    """A store with one snapshot, and where its parts lie."""

    def __init__(self, root: Path, result: PushResult) -> None:
        self.root = root
        assert result.upload_id
        self.manifest = root / manifest_key("test", result.upload_id)
        self.format = root / "akosha-snap" / "test" / "format.json"
        snapshot = decode_manifest(self.manifest.read_bytes(), "manifest").snapshot
        self.list = snapshot.chunk_list[-1]
        self.pack = root / pack_key("test", bytes.fromhex(self.list.pack))


@pytest.fixture
def harmed(store, tmp_path) -> Harmed:
    data = tmp_path / "notes.bin"
    data.write_bytes(random.Random(1).randbytes(300_000) + b"a line that shrinks\n" * 5000)
    return Harmed(store, akosha_snap.push([data], str(store), system_id="test", stage_in_child=False))


def change(path: Path, at: int, data: bytes) -> None:
    old = path.read_bytes()
    position = at % len(old)
    path.write_bytes(old[:position] + data + old[position + len(data) :])


def flip(path: Path, at: int) -> None:
    change(path, at, bytes([path.read_bytes()[at] ^ 1]))


def cut(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def other_pack(h: Harmed) -> None:
    """Another, sound pack under this one's name."""
    data = h.root.parent / "other.bin"
    data.write_bytes(random.Random(2).randbytes(300_000) + b"a line that shrinks\n" * 5000)
    result = akosha_snap.push([data], str(h.root), system_id="other", stage_in_child=False)
    (key,) = [key for key in result.files_uploaded if "/packs/" in key]
    shutil.copy(h.root / key, h.pack)


def other_manifest(h: Harmed) -> None:
    result = akosha_snap.push([__file__], str(h.root), system_id="other", stage_in_child=False)
    shutil.copy(h.root / manifest_key("other", str(result.upload_id)), h.manifest)


DAMAGES: dict[str, tuple[Callable[[Harmed], None], int, int]] = {
    # name: the harm, the exit code of verify --level data, that of restore
    "pack missing": (lambda h: h.pack.unlink(), 4, 4),
    "pack truncated": (lambda h: cut(h.pack, 250_000), 4, 4),
    "pack swapped": (other_pack, 4, 4),
    "pack flipped": (lambda h: flip(h.pack, 1000), 4, 4),
    "footer truncated": (lambda h: cut(h.pack, 5), 4, 0),
    "footer flipped": (lambda h: flip(h.pack, -60), 4, 0),
    "trailer flipped": (lambda h: flip(h.pack, -1), 4, 0),
    "chunk list flipped": (lambda h: flip(h.pack, h.list.offset + h.list.stored_size // 2), 4, 4),
    "chunk list swapped": (
        lambda h: change(h.pack, h.list.offset, h.pack.read_bytes()[100 : 100 + h.list.stored_size]),
        4,
        4,
    ),
    "manifest missing": (lambda h: h.manifest.unlink(), 10, 10),
    "manifest truncated": (lambda h: cut(h.manifest, 10), 4, 4),
    "manifest empty": (lambda h: h.manifest.write_bytes(b""), 4, 4),
    "manifest flipped": (lambda h: flip(h.manifest, 300), 4, 4),
    "manifest swapped": (other_manifest, 4, 4),
    "a frame of 1 GiB": (lambda h: change(h.pack, 0, GIANT), 4, 4),
    "a chunk list of 1 GiB": (lambda h: change(h.pack, h.list.offset, GIANT), 4, 4),
    "format garbled": (lambda h: h.format.write_bytes(b"{"), 4, 0),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(cli, harmed, tmp_path, name) -> None:
    harm, verify_code, restore_code = DAMAGES[name]
    harm(harmed)
    outcome = cli("verify", "all", "--level", "data")
    assert outcome.code == verify_code, outcome
    assert harmed.pack.name in outcome.error or harmed.manifest.parent.name in outcome.error or "test" in outcome.error
    assert ";" in outcome.error  # a next step
    result = cli("verify", "all", "--level", "data", "--json")
    assert result.code == verify_code
    assert result.json_error["hint"]
    if result.out:
        assert result.json["ok"] is False
        assert {"kind", "object", "snapshots", "detail"} <= result.json["problems"][0].keys()
    outcome = cli("restore", "--to", tmp_path / "back")
    assert outcome.code == restore_code, outcome
    if restore_code:
        assert ";" in outcome.error
        assert not (tmp_path / "back").exists() or list((tmp_path / "back").iterdir()) == []


@pytest.mark.parametrize("where", ["format", "manifest"])
def test_a_newer_format_is_newer_never_corrupt(cli, harmed, tmp_path, where) -> None:
    if where == "format":
        content = json.loads(harmed.format.read_bytes())
        assert "version" in content or "format" in content
        content["version" if "version" in content else "format"] = 2
        harmed.format.write_text(json.dumps(content))
    else:
        content = json.loads(harmed.manifest.read_bytes())
        content["metadata"]["akosha_snap"]["format"] = 2
        harmed.manifest.write_text(json.dumps(content))
    before = sorted(path for path in harmed.root.rglob("*"))
    for command in (["verify"], ["restore", "--to", "back"], ["show"], ["push", tmp_path / "notes.bin"]):
        outcome = cli(*command)
        assert outcome.code == 1, command
        assert "newer" in outcome.error or "later" in outcome.error, command
        assert "damage" not in outcome.error
        assert "corrupt" not in outcome.error
    assert sorted(path for path in harmed.root.rglob("*")) == before


def test_a_push_after_damage_uploads_anew(cli, harmed, tmp_path) -> None:
    harmed.pack.unlink()
    with (tmp_path / "notes.bin").open("ab") as file:
        file.write(b"and so it goes")
    outcome = cli("push", tmp_path / "notes.bin")
    assert outcome.code == 0
    assert harmed.pack.name in outcome.err
    assert outcome.err.startswith("akosha-snap: warning: ")
    assert cli("verify", "latest", "--level", "data").code == 0
    assert cli("verify", "all").code == 4


def test_repair_says_what_is_lost_and_the_next_push_heals_it(cli, harmed, tmp_path) -> None:
    flip(harmed.pack, 1000)
    assert "akosha-snap repair" in cli("verify", "--level", "data").error
    assert "akosha-snap repair --dry-run" in cli("restore", "--to", tmp_path / "out").error, (
        "verify alone finds nothing"
    )
    tried = cli("repair", "--dry-run", "--json")
    assert (tried.code, tried.json["record"]) == (4, None)
    outcome = cli("repair")
    assert outcome.code == 4
    assert "push" in outcome.error
    assert f"lost           {harmed.manifest.parent.name}" in outcome.out
    assert "notes.bin" in outcome.out
    assert "/damage/" in outcome.out
    assert cli("push", tmp_path / "notes.bin").code == 0
    assert cli("verify", "latest", "--level", "data").code == 0
    again = cli("repair", "--json")
    assert again.code == 4
    assert [one["upload_id"] for one in again.json["lost"]] == [harmed.manifest.parent.name]
    assert "the newest snapshot is whole" in again.json_error["hint"]
    assert cli("prune", "--keep-last", 1).code == 0
    assert cli("repair").code == 0


def test_repair_names_what_stays_damaged_not_what_it_made_anew(cli, harmed) -> None:
    harmed.format.unlink()
    harmed.manifest.write_bytes(b"{")
    assert harmed.manifest.parent.name in cli("repair").error


def test_repair_of_a_whole_store(cli, harmed) -> None:
    harmed.format.write_bytes(b"{")
    outcome = cli("repair")
    assert outcome.code == 0
    assert "made anew" in outcome.out
    outcome = cli("repair")
    assert outcome.code == 0
    assert outcome.out.startswith("no problem in 1 snapshot, 0 of them with lost files")
