"""Records by HTTP into the real, unmodified Akosha's running server."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import memory_db
import pytest
from akosha_server import AkoshaServer, free_port, running_akosha

from akosha_snap.akosha import SendResult, is_up, send_records
from akosha_snap.akosha.batches import MAX_BODY, Piece
from akosha_snap.akosha.exchange import RequestTooLarge
from akosha_snap.akosha.mcp_client import McpClient
from akosha_snap.akosha.memory_tool import MAX_PIECES, TOOL, store_batch
from akosha_snap.errors import AkoshaError, CapabilityError

pytest.importorskip("akosha")
pytestmark = pytest.mark.akosha


def send(server: AkoshaServer, folder: Path, system_id: str, **options: object) -> SendResult:
    databases = [folder / memory_db.REFLECTION, folder / memory_db.GRAPH]
    return send_records(databases, url=server.url, system_id=system_id, **options)  # type: ignore[arg-type]


def counts(result: SendResult) -> tuple[int, ...]:
    return result.sent, result.stored, result.duplicates, result.unchanged, result.failed


def test_a_thousand_records_twice(server: AkoshaServer, tmp_path: Path) -> None:
    assert is_up(server.url)
    memory_db.build(tmp_path, conversations=1000)
    started = time.monotonic()
    result = send(server, tmp_path, "thousand", state_dir=tmp_path / "state")
    took = time.monotonic() - started
    assert counts(result) == (1125, 1125, 0, 0, 0), result.errors
    assert result.not_sent_kinds == {"entity": 1000, "relationship": 2000}
    assert took < 60, "and about 4 s here"
    memory_db.live_session(tmp_path, seed=1, checkpoint=False)
    assert counts(send(server, tmp_path, "thousand", state_dir=tmp_path / "state")) == (25, 25, 0, 1125, 0)
    everything = send(server, tmp_path, "thousand", state_dir=tmp_path / "state", full=True)
    assert counts(everything) == (1150, 0, 1150, 0, 0), "Akosha has each of them"
    assert counts(send(server, tmp_path, "another", kinds=["reflection"])) == (130, 130, 0, 0, 0)


def test_odd_records(server: AkoshaServer, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE conversations (id VARCHAR, content VARCHAR, embedding FLOAT[], timestamp VARCHAR)"
        )
        rows = [
            ("none", "no vector", None, None),
            ("wide", "768", [0.5] * 768, "2026-01-02 03:04:05+02"),
            ("zero", "a zero byte \0 and 日本 😀", [0.5] * 384, "yesterday"),
            ("nan", "nan", [float("nan")] * 384, "1999-12-31"),
            (None, "no id", [1e-30] * 384, "2026-01-02T03:04:05.000006"),
            ("empty", "", None, None),
            ("large", "é" * 2_000_000, [0.5] * 384, None),
            ("too large", "é" * 3_000_000, [0.5] * 384, None),
        ]
        for row in rows:
            connection.execute("INSERT INTO conversations VALUES (?, ?, ?, ?)", row)
    result = send_records([path], url=server.url, system_id="odd")
    assert counts(result) == (6, 6, 0, 0, 1), result.errors
    assert result.skipped == 1
    assert counts(send_records([path], url=server.url, system_id="odd")) == (6, 0, 6, 0, 1)


def test_the_limit_is_where_we_think_it_is(server: AkoshaServer) -> None:
    with McpClient(server.url) as client:
        client.tools()
        for room, fits in ((0, True), (MAX_BODY - MAX_PIECES + 1, False)):
            data = b'{"memory_id":"","text":"%s"}' % (b"x" * (MAX_PIECES + room - 26))
            assert len(data) == MAX_PIECES + room
            if fits:
                assert store_batch(client, [Piece("", data)]).failed
            else:
                with pytest.raises(RequestTooLarge):
                    client.call_tool(TOOL, b'{"memories":[%s]}' % data)


def test_a_tool_that_is_not_there(server: AkoshaServer) -> None:
    with McpClient(server.url + "/") as client, pytest.raises(AkoshaError, match="Unknown tool"):
        client.call_tool("create_entity", b"{}")


def test_a_server_without_the_tools(tmp_path: Path) -> None:
    memory_db.build(tmp_path, conversations=8)
    with (
        running_akosha(tmp_path, AKOSHA_TOOL_PROFILE="standard") as server,
        pytest.raises(CapabilityError, match=f"has no tool {TOOL}"),
    ):
        send(server, tmp_path, "mac")


def test_a_server_that_is_restarted_gets_everything_again(tmp_path: Path) -> None:
    memory_db.build(tmp_path, conversations=40)
    port = free_port()
    for restarted in (False, True):
        with running_akosha(tmp_path, port=port) as server:
            result = send(server, tmp_path, "mac", state_dir=tmp_path / "state")
            assert result.resent_all is restarted
            assert result.stored + result.duplicates == 45
            assert counts(send(server, tmp_path, "mac", state_dir=tmp_path / "state")) == (0, 0, 0, 45, 0)
            assert counts(send(server, tmp_path, "mac")) == (45, 0, 45, 0, 0)
