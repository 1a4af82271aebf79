"""Which snapshots to keep, by rules over their times. Pure; times are those in the upload ids, in UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import NamedTuple

from akosha_snap.errors import ConfigError
from akosha_snap.manifest.ids import upload_time

__all__ = ["KeepRules", "reasons_to_keep"]


class KeepRules(NamedTuple):
    """Keep the `last` so many snapshots; the newest of each of so many days, ISO weeks and months that have one;
    and all that were taken `within` this time before the newest. A snapshot is kept if any rule keeps it."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    within: dt.timedelta = dt.timedelta()

    def check(self) -> None:
        """Raises ConfigError where a rule cannot be meant, or there is none."""
        if min(self[:4]) < 0 or self.within < dt.timedelta():
            raise ConfigError("a rule that keeps less than nothing", hint="give numbers from 0 on")
        if self == KeepRules():
            raise ConfigError(
                "no rule says which snapshots to keep",
                hint="give one or more of keep-last, keep-daily, keep-weekly, keep-monthly and keep-within",
            )


_PERIODS: dict[str, Callable[[dt.datetime], str]] = {
    "daily": lambda time: f"{time:%Y-%m-%d}",
    "weekly": lambda time: f"{time:%G-W%V}",
    "monthly": lambda time: f"{time:%Y-%m}",
}


def reasons_to_keep(uploads: Iterable[str], rules: KeepRules) -> dict[str, list[str]]:
    """Why each upload id is kept, newest first; those without a reason are not. The newest always is."""
    ordered = sorted(uploads, reverse=True)
    reasons: dict[str, list[str]] = {upload_id: [] for upload_id in ordered}
    if not ordered:
        return reasons
    reasons[ordered[0]].append("newest")
    for number, upload_id in enumerate(ordered[: rules.last], 1):
        reasons[upload_id].append(f"last {number}")
    for rule, period in _PERIODS.items():
        newest_of = {period(upload_time(upload_id)): upload_id for upload_id in reversed(ordered)}
        for name in sorted(newest_of, reverse=True)[: getattr(rules, rule)]:
            reasons[newest_of[name]].append(f"{rule} {name}")
    newest = upload_time(ordered[0])
    for upload_id in ordered:
        if rules.within and newest - upload_time(upload_id) <= rules.within:
            reasons[upload_id].append("within")
    return reasons
