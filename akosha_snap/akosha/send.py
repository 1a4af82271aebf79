"""Send the records of staged databases to an Akosha server, only those it has not been sent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

from akosha_snap.akosha.failures import Failures
from akosha_snap.akosha.graph_tools import TOOLS
from akosha_snap.akosha.ledger import Ledger
from akosha_snap.akosha.mcp_client import McpClient
from akosha_snap.akosha.memories import EmbeddingPolicy
from akosha_snap.akosha.memory_tool import TOOL
from akosha_snap.akosha.results import SendResult
from akosha_snap.akosha.sending import Sending, ServerForgot
from akosha_snap.errors import AkoshaError, CapabilityError, ConfigError
from akosha_snap.events import Observer
from akosha_snap.frames import content_hash
from akosha_snap.manifest.ids import check_system_id
from akosha_snap.source import KINDS, Kind, Record, count_in_child, read_records

__all__ = ["send_records"]

_PASSES = 3
"""Times that a server may forget everything while it is sent to."""

_COUNTED: dict[Kind, str] = {"entity": "entities"}


def send_records(
    databases: Sequence[Path],
    *,
    url: str,
    system_id: str,
    token: str | None = None,
    state_dir: Path | None = None,
    kinds: Iterable[Kind] = KINDS,
    embedding: EmbeddingPolicy = "zero",
    full: bool = False,
    deadline: float | None = None,
    attempts: int = 5,
    allow_insecure_http: bool = False,
    observer: Observer | None = None,
) -> SendResult:
    """Send the records of `databases`, staged copies, to the Akosha server at `url`.

    What was sent before is remembered below `state_dir` (None: nowhere) and not sent again, unless
    the server has lost it, which is found out by sending it one record it should have; `full` sends
    everything in any case. Akosha refuses what it has, so nothing is ever there twice.
    Killed at any moment, the next run goes on from the last batch that was answered.

    The databases are read as they are sent, in bounded memory. `deadline`, in seconds, is for all
    of it; one try of one call never takes more than 60 s, and a call `attempts` tries.

    Without `allow_insecure_http` a token is not sent over plain http to another machine.

    Raises ConfigError for a URL, token or system id that cannot be right, CapabilityError where
    the server has no tool to store records, CredentialsError where it refuses the token,
    TransientAkoshaError where it cannot be reached, AkoshaError where it answers wrongly or not all
    was sent by the deadline, and SourceError or DamageError where a database cannot be read.
    """
    started = time.monotonic()
    check_system_id(system_id)
    if embedding not in {"zero", "skip"}:
        raise ConfigError(f"no embedding policy {embedding!r}", hint="choose zero or skip")
    wanted = [kind for kind in KINDS if kind in set(kinds)]
    folder = _folder(state_dir, url, system_id)
    with (
        McpClient(
            url, token=token, deadline=deadline, attempts=attempts, allow_insecure_http=allow_insecure_http
        ) as client,
        Ledger(folder / "sent.sqlite" if folder else None) as ledger,
    ):
        able = _able(client, wanted)
        if full:
            ledger.forget()
        resent = False
        for _ in range(_PASSES):
            with contextlib.closing(Failures(folder / "failed.jsonl" if folder else None)) as failures:
                sending = Sending(
                    client,
                    ledger,
                    failures,
                    system_id=system_id,
                    policy=embedding,
                    observer=observer or Observer(),
                )
                try:
                    with contextlib.closing(_memories(databases, able)) as records:
                        sending.check_memory(records)
                    _send_all(sending, databases, able)
                except ServerForgot:
                    ledger.forget()
                    resent = True
                    continue
                result = sending.result
                result.failures_file = failures.keep()
                result.failed, result.errors = failures.count, failures.listed
            result.success = not result.failed
            result.server, result.system_id, result.resent_all = client.url, system_id, resent
            result.not_sent_kinds = _counts(databases, [kind for kind in wanted if kind not in able])
            result.requests, result.bytes_sent = client.requests, client.bytes_sent
            result.duration_seconds = round(time.monotonic() - started, 3)
            return result
        raise AkoshaError(
            f"the Akosha server at {client.url} lost everything it was sent, {_PASSES} times in this run",
            hint="see in its log why it is restarted",
        )


def _folder(state_dir: Path | None, url: str, system_id: str) -> Path | None:
    """The folder for what is remembered of this target."""
    if state_dir is None:
        return None
    return state_dir / "akosha" / content_hash(f"{url}\n{system_id}".encode()).hex()[:16]


def _able(client: McpClient, wanted: list[Kind]) -> list[Kind]:
    """The kinds that the server has a tool for. Raises CapabilityError where it stores nothing at all."""
    tools = client.tools()
    if TOOL not in tools:
        raise CapabilityError(
            f"the Akosha server at {client.url} has no tool {TOOL}: it takes no records",
            hint="start it with all its tools (AKOSHA_TOOL_PROFILE=full), or push to a store",
        )
    return [kind for kind in wanted if TOOLS.get(kind, TOOL) in tools]


def _send_all(sending: Sending, databases: Sequence[Path], kinds: list[Kind]) -> None:
    for kind in kinds:
        for path in databases:
            records = read_records(path, [kind])
            if kind in TOOLS:
                sending.graph(records)
            else:
                sending.memories(records)


def _memories(databases: Sequence[Path], kinds: list[Kind]) -> Generator[Record]:
    """The records of the kinds that the server can be asked for again."""
    for path in databases:
        yield from read_records(path, [kind for kind in kinds if kind not in TOOLS])


def _counts(databases: Sequence[Path], kinds: list[Kind]) -> dict[str, int]:
    """How many records of these kinds there are, of those that there are."""
    if not kinds:
        return {}
    counted = count_in_child(databases)  # DuckDB would take more memory for it than all the sending does
    totals = {kind: sum(getattr(counts, _COUNTED.get(kind, f"{kind}s")) for counts in counted) for kind in kinds}
    return {kind: total for kind, total in totals.items() if total}
