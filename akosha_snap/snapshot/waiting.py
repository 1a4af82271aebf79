"""Since when packs have been needed by no snapshot, by the marks that earlier runs of prune left. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from akosha_snap.manifest.prune_mark import PruneMark

__all__ = ["older_than", "unneeded_since"]


def unneeded_since(
    packs: Iterable[bytes], just_dropped: Collection[bytes], marks: Collection[PruneMark | None], now: dt.datetime
) -> dict[bytes, dt.datetime]:
    """For each of `packs`, which no snapshot needs that stays, since when that is certain.

    The latest time that any mark names, as all of them are true. It is `now` where there is no mark, where
    one does not name the pack (that run found it needed) or cannot be read (None), and for what only
    snapshots that this run drops have needed (`just_dropped`). No time is later than `now`.
    """
    since: dict[bytes, dt.datetime] = {}
    for pack in packs:
        named = [mark.since.get(pack.hex()) if mark else None for mark in marks]
        times = [time for time in named if time is not None]
        is_known = times and len(times) == len(marks) and pack not in just_dropped
        since[pack] = min(now, max(times)) if is_known else now
    return since


def older_than(grace: dt.timedelta, since: Mapping[bytes, dt.datetime], looked_at: dt.datetime) -> set[bytes]:
    """The packs that no push can still come to need: none has at any look for `grace`, up to `looked_at`."""
    return {pack for pack, time in since.items() if looked_at - time >= grace}
