"""What sending records to Akosha did: the struct that `--json` prints. Fields are only ever added."""

from __future__ import annotations

import msgspec

__all__ = ["RecordError", "SendResult"]


class RecordError(msgspec.Struct, frozen=True):
    """One record that Akosha did not take, and why."""

    memory_id: str
    error: str


class SendResult(msgspec.Struct, kw_only=True):
    """What was sent to one Akosha server, in records unless said otherwise.

    `sent` were handed to it in this run: `stored` are new there, `duplicates` it had already, which
    is as good. `unchanged` were handed over by an earlier run. `skipped` have no text, or no vector
    under the policy "skip". `failed` were refused, or are too large for a request: they are tried again by
    the next run; `errors` lists the first 20 of them, `failures_file` the first 4 MiB. `not_sent_kinds` counts,
    by kind, what this server has no tool for. `resent_all`: the server had lost what it was sent,
    so everything was sent again. `requests` and `bytes_sent` (of bodies) include every retry.
    """

    success: bool = True
    server: str = ""
    system_id: str = ""
    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0
    not_sent_kinds: dict[str, int] = {}
    errors: list[RecordError] = []
    failures_file: str | None = None
    resent_all: bool = False
    requests: int = 0
    bytes_sent: int = 0
    duration_seconds: float = 0.0
