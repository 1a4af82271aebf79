"""What happens in the demo, step by step: the structs that `demo --json` prints."""

from __future__ import annotations

import msgspec

from akosha_snap.snapshot.results import PushResult, VerifyResult

__all__ = ["Built", "Checked", "DemoResult", "Pushed", "Restored", "Step", "Worked"]


class Built(msgspec.Struct, frozen=True, tag="built", tag_field="step"):
    """Another process (`pid`) made a memory and has it open. Sizes in bytes, per file; rows per table."""

    pid: int
    sizes: dict[str, int]
    rows: dict[str, int]


class Worked(msgspec.Struct, frozen=True, tag="worked", tag_field="step"):
    """That process lived one session: rows it added, bytes its write-ahead logs grew by."""

    rows: int
    wal_growth: int


class Pushed(msgspec.Struct, frozen=True, tag="pushed", tag_field="step"):
    """A push, with the memory still open."""

    result: PushResult


class Checked(msgspec.Struct, frozen=True, tag="checked", tag_field="step"):
    """Every snapshot was verified."""

    result: VerifyResult


class Restored(msgspec.Struct, frozen=True, tag="restored", tag_field="step"):
    """A snapshot was restored and found equal to the memory at the time of its push.

    `bytes` of `files` files byte for byte, and `rows` read by DuckDB row for row.
    """

    upload_id: str
    files: int
    bytes: int
    rows: int
    duration_seconds: float


Step = Built | Worked | Pushed | Checked | Restored


class DemoResult(msgspec.Struct, frozen=True):
    """The whole story. Where anything did not hold, there is an error and no result."""

    steps: list[Step]
    folder: str
    kept: bool
    duration_seconds: float
