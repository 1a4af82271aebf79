"""Each command does its job; the keys of its JSON are the contract of issue 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_db import live_session

RESULT = {"method", "success", "upload_id", "unchanged", "files", "files_uploaded", "bytes_read"}
RESULT |= {"bytes_transferred", "requests", "duration_seconds", "warnings", "error"}


def test_push_json(cli, store, memory) -> None:
    result = cli("push", *memory.iterdir(), "--json").json
    assert result.keys() >= RESULT
    assert [set(file) for file in result["files"]] == [{"name", "size", "chunks", "chunks_new"}] * 2
    assert result["method"] == "cloud"
    assert result["success"] is True
    assert result["error"] is None
    assert result["unchanged"] is False
    assert result["bytes_read"] >= sum(path.stat().st_size for path in memory.iterdir())
    manifest = f"systems/test/{result['upload_id']}/manifest.json"
    assert manifest in result["files_uploaded"]
    assert (store / manifest).exists()
    assert result["counts"]["conversations"] == 40


def test_push_text(cli, store, memory) -> None:
    outcome = cli("push", memory / "reflection.duckdb")
    assert outcome.code == 0
    assert outcome.err == ""
    first, last = outcome.out.splitlines()
    assert first.startswith("reflection.duckdb  ")
    assert first.endswith("chunks new")
    assert last.startswith("first snapshot 2")
    assert " saved in " in last
    assert " requests" in last
    assert last.endswith("(system test)")


def test_push_unchanged(cli, store, memory) -> None:
    upload_id = cli("push", memory / "reflection.duckdb", "--json").json["upload_id"]
    outcome = cli("push", memory / "reflection.duckdb")
    assert outcome.code == 0
    assert outcome.out == f"nothing has changed since snapshot {upload_id}: nothing uploaded, 1 request (system test)\n"
    again = cli("push", memory / "reflection.duckdb", "--json").json
    assert again["unchanged"] is True
    assert again["bytes_transferred"] == 0
    assert again["files_uploaded"] == []
    assert again["upload_id"] == upload_id


def test_push_dry_run_stores_nothing(cli, store, memory) -> None:
    outcome = cli("push", memory / "reflection.duckdb", "--dry-run")
    assert outcome.code == 0
    assert "dry run: nothing was stored" in outcome.out
    assert not store.exists()
    assert cli("push", memory / "reflection.duckdb", "--dry-run", "--json").json["dry_run"] is True


def test_push_full_file(cli, store, memory) -> None:
    upload_id = cli("push", memory / "reflection.duckdb", "--full-file", "--json").json["upload_id"]
    whole = store / "systems" / "test" / upload_id / "reflection.duckdb"
    assert whole.read_bytes() == (memory / "reflection.duckdb").read_bytes()
    assert f"whole at systems/test/{upload_id}/reflection.duckdb" in cli("show").out


def test_push_without_file_takes_what_is_in_the_data_folder(cli, store, memory, monkeypatch, clean_environment) -> None:
    monkeypatch.setenv("AKOSHA_SNAP_DATA_DIR", str(memory))
    assert [file["name"] for file in cli("push", "--json").json["files"]] == [
        "reflection.duckdb",
        "knowledge_graph.duckdb",
    ]
    (memory / "reflection.duckdb").unlink()
    assert [file["name"] for file in cli("push", "--json").json["files"]] == ["knowledge_graph.duckdb"]
    monkeypatch.delenv("AKOSHA_SNAP_DATA_DIR")
    data = clean_environment / ".claude" / "data"
    data.parent.mkdir()
    memory.rename(data)
    assert cli("push", "--json").json["unchanged"] is True


def test_push_brings_the_wal_along(cli, store, memory) -> None:
    live_session(memory, seed=3, checkpoint=False)
    names = [file["name"] for file in cli("push", memory / "reflection.duckdb", "--json").json["files"]]
    assert names == ["reflection.duckdb", "reflection.duckdb.wal"]


def test_system_id_is_said_once(cli, memory, tmp_path) -> None:
    outcome = cli("push", memory / "reflection.duckdb", "--store", tmp_path / "s")
    assert outcome.code == 0
    assert outcome.out.count(", from the hostname)") == 1
    named = cli("push", memory / "reflection.duckdb", "--store", tmp_path / "s", "--system-id", "my-mac")
    assert named.out.count("my-mac") == 1


def test_list(cli, store, memory) -> None:
    assert cli("list").code == 10  # no store yet
    first = cli("push", memory / "reflection.duckdb", "--json").json
    live_session(memory, seed=5)
    second = cli("push", memory / "reflection.duckdb", "--json").json
    snapshots = cli("list", "--json").json["snapshots"]
    assert [snapshot["upload_id"] for snapshot in snapshots] == [second["upload_id"], first["upload_id"]]
    keys = {"upload_id", "uploaded_at", "files", "conversation_count", "total_size_bytes", "bytes_transferred"}
    assert snapshots[0].keys() >= keys
    assert snapshots[0]["files"] == ["reflection.duckdb"]
    assert snapshots[0]["conversation_count"] == 60
    assert snapshots[1]["bytes_transferred"] == first["bytes_transferred"]
    lines = cli("list").out.splitlines()
    assert lines[0].startswith("2 snapshots of system test, in file:///")
    assert lines[2].startswith(second["upload_id"])
    assert len({line.index("reflection") for line in lines[2:]}) == 1


def test_list_of_an_unknown_system_is_empty(cli, store, memory) -> None:
    cli("push", memory / "reflection.duckdb")
    assert cli("list", "--system-id", "other", "--json").json["snapshots"] == []
    assert cli("list", "--system-id", "other").out.startswith("no snapshot yet of system other")


def test_show(cli, store, memory) -> None:
    pushed = cli("push", memory / "reflection.duckdb", "--json").json
    upload_id = pushed["upload_id"]
    shown = cli("show", upload_id, "--chunks", "--json").json
    assert shown["upload_id"] == upload_id
    (file,) = shown["files"]
    assert len(file["chunk_hashes"]) == file["chunks"] == pushed["files"][0]["chunks"]
    assert cli("show", "--json").json["files"][0]["chunk_hashes"] is None
    text = cli("show", "--chunks").out
    assert all(f"  {chunk}\n" in text for chunk in file["chunk_hashes"])
    assert "records     40 conversations, 5 reflections, 0 entities, 0 relationships" in text


def test_restore(cli, store, memory, tmp_path) -> None:
    upload_id = cli("push", *memory.iterdir(), "--json").json["upload_id"]
    restored = cli("restore", "--to", tmp_path / "back", "--json").json
    assert restored["upload_id"] == upload_id
    assert {Path(file["path"]).name for file in restored["files"]} == {"reflection.duckdb", "knowledge_graph.duckdb"}
    for path in memory.iterdir():
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    one = cli("restore", upload_id, "--to", tmp_path / "one", "--file", "reflection.duckdb")
    assert one.code == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["reflection.duckdb"]
    assert f"snapshot {upload_id} restored in " in one.out
    assert cli("restore", upload_id, "--to", tmp_path / "one", "--force").code == 0


@pytest.mark.parametrize("level", ["manifest", "index", "data", "open"])
def test_verify(cli, store, memory, level) -> None:
    upload_id = cli("push", *memory.iterdir(), "--json").json["upload_id"]
    result = cli("verify", "all", "--level", level, "--json").json
    assert result.keys() >= {"ok", "level", "snapshots", "objects", "bytes_read", "problems"}
    assert (result["ok"], result["level"], result["snapshots"], result["problems"]) == (True, level, [upload_id], [])
    assert cli("verify", "--level", level).out.startswith(f"no problem in 1 snapshot at level {level}: ")


def test_verify_sample(cli, store, memory) -> None:
    cli("push", memory / "reflection.duckdb")
    whole = cli("verify", "--level", "data", "--json").json["bytes_read"]
    assert cli("verify", "--level", "data", "--sample", "10%", "--json").json["bytes_read"] < whole


def test_settings_of_the_environment_reach_s3(
    process, memory, seaweed_credentials, seaweed_bucket, monkeypatch
) -> None:
    monkeypatch.setenv("AKOSHA_CLOUD_BUCKET", f"{seaweed_bucket}/base")
    monkeypatch.setenv("AKOSHA_CLOUD_ENDPOINT", seaweed_credentials.endpoint)
    monkeypatch.setenv("AKOSHA_CLOUD_REGION", "us-east-1")
    assert process("push", memory / "reflection.duckdb").code == 0
    url = f"s3://{seaweed_bucket}/base?endpoint={seaweed_credentials.endpoint}"
    monkeypatch.delenv("AKOSHA_CLOUD_ENDPOINT")
    assert process("verify", "--store", url, "--level", "open").code == 0


def test_prune(cli, store, memory) -> None:
    for text in ("one", "two"):
        (memory / "notes.txt").write_text(text)
        cli("push", memory / "notes.txt", "--recheck")
    dry = cli("prune", "--keep-last", 1, "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert "1 snapshot would be dropped, 1 kept" in dry.out
    done = cli("prune", "--keep-last", 1, "--grace", "25h", "--json").json
    assert (len(done["dropped"]), done["packs_deleted"]) == (1, 0)
    assert cli("prune", "--keep-within", "1d").code == 0
