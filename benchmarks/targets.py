"""The figures the design asks for, each beside what was measured in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.rows import Row
from benchmarks.summary import Summary, sent

__all__ = ["Target", "targets"]

SINGLE = ("reflection-2.0", "reflection-1.5", "graph-2.0", "graph-1.5")
BOTH = ("memory-2.0", "memory-1.5")


class Target(NamedTuple):
    """What was asked, where, what came out, and whether it is met."""

    asked: str
    data: str
    found: str
    met: bool | None
    """None where the design sets no limit on these data: shown to judge the others by."""


def targets(rows: list[Row]) -> Iterator[Target]:
    """Every target that these rows can speak of."""
    names = list(dict.fromkeys(row.data for row in rows if not row.shape))
    for summary in (Summary(rows, name) for name in names):
        if summary.data in (*SINGLE, *BOTH):
            yield from _bytes(summary)
            yield from _requests(summary)
        if summary.data in BOTH:
            yield from _times(summary)
        yield from _memory(summary)


def _bytes(summary: Summary) -> Iterator[Target]:
    for ours, peer, factor in (("ours", "restic", 15), ("ours-folder", "casync", 5)):
        mine, theirs = summary.median(ours, "session", sent), summary.median(peer, "session", sent)
        if mine and theirs:
            asked = f"bytes per session: 1/{factor} of {peer}'s or less"
            found = f"1/{theirs / mine:.0f} ({mine / 1e3:,.0f} of {theirs / 1e3:,.0f} KB)"
            yield Target(asked, summary.data, found, theirs / mine >= factor)
    restic, least = summary.median("restic", "session", sent), summary.median("xdelta3", "session", sent)
    if restic and least:
        found = f"1/{restic / least:.0f}"
        yield Target("bytes per session: the floor itself beside restic's", summary.data, found, None)
    mine, floor = summary.median("ours-folder", "session", sent), summary.median("xdelta3", "session", sent)
    if mine and floor:
        yield Target("bytes per session beside the floor (xdelta3 -9)", summary.data, f"{mine / floor:.2f} x", None)


def _requests(summary: Summary) -> Iterator[Target]:
    for operation, limit in (("session", 4), ("unchanged", 1), ("restore", 19)):
        rows = [row for row in summary.rows("ours", operation) if not row.age]
        counts = [row.request_count for row in rows if row.request_count is not None]
        if counts:
            asked = f"requests, {'restore latest' if operation == 'restore' else operation + ' push'}: {limit} or fewer"
            yield Target(asked, summary.data, f"{max(counts)}{_restic(summary, operation)}", max(counts) <= limit)


def _restic(summary: Summary, operation: str) -> str:
    counts = [row.request_count for row in summary.rows("restic", operation) if not row.age]
    return f" (restic {max(counts, key=lambda n: n or 0)})" if counts else ""


def _times(summary: Summary) -> Iterator[Target]:
    for operation, limit in (("session", 0.8), ("unchanged", 0.35)):
        cpu = summary.median("ours", operation, lambda row: row.cpu)
        if cpu is not None:
            yield Target(f"{operation} push: CPU under {limit} s", summary.data, f"{cpu:.2f} s", cpu < limit)
    pairs = (("session", "restic"), ("unchanged", "restic"), ("first", "restic"), ("first", "upstream"))
    for operation, peer in pairs:
        mine, theirs = (summary.median(tool, operation, lambda row: row.wall) for tool in ("ours", peer))
        if mine and theirs:
            found = f"{mine:.2f} of {theirs:.2f} s"
            yield Target(f"{operation} push: wall under {peer}'s", summary.data, found, mine < theirs)
    mine_row, their_row = (summary.restored(tool, oldest=False) for tool in ("ours", "restic"))
    if mine_row and their_row:
        found = f"{mine_row.wall:.2f} of {their_row.wall:.2f} s"
        yield Target("restore latest: wall under restic's", summary.data, found, mine_row.wall < their_row.wall)


def _memory(summary: Summary) -> Iterator[Target]:
    operations = ("first", "session", "unchanged", "restore", "verify")
    peaks = [row.peak for operation in operations for row in summary.rows("ours", operation)]
    if peaks:
        found = f"{max(peaks) / 1e6:.0f} MB"
        yield Target("peak memory of any operation under 200 MB", summary.data, found, max(peaks) < 200e6)
