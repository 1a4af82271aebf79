"""Drop snapshots that no rule keeps, and delete the packs that none has needed for long enough.

docs/format.md, "Prune", has the rules that make this safe beside pushes and other prunes.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import msgspec

from akosha_snap.errors import AkoshaSnapError, CapabilityError, ConfigError
from akosha_snap.events import Observer
from akosha_snap.manifest.ids import upload_time
from akosha_snap.manifest.keys import (
    manifest_key,
    own_prefix,
    pack_key,
    prune_mark_key,
    system_marker,
    upload_key,
    upload_marker,
)
from akosha_snap.manifest.prune_mark import PruneMark, encode_mark, mark_name
from akosha_snap.snapshot.ahead import in_threads
from akosha_snap.snapshot.mark_reader import read_marks
from akosha_snap.snapshot.prune_look import Look, look
from akosha_snap.snapshot.results import PrunedSnapshot, PruneResult
from akosha_snap.snapshot.retention import KeepRules
from akosha_snap.snapshot.system import System
from akosha_snap.snapshot.time_limit import PRUNE_LIMIT, SHORTEST_GRACE, TimeLimit
from akosha_snap.snapshot.waiting import older_than, unneeded_since
from akosha_snap.stores import DeletingStore, deleting, sweeping

__all__ = ["PruneOptions", "prune_system"]


class PruneOptions(NamedTuple):
    """How to prune; see `akosha_snap.prune`, which documents each. `token` makes 8 hex digits at random."""

    rules: KeepRules
    grace: dt.timedelta
    no_push_running: bool
    token: Callable[[], str]
    dry_run: bool = False

    def check(self) -> None:
        """Raises ConfigError."""
        self.rules.check()
        if self.grace < dt.timedelta():
            raise ConfigError(f"a grace period of {self.grace}", hint="give none below 0")
        if self.grace < dt.timedelta(seconds=SHORTEST_GRACE) and not self.no_push_running:
            raise ConfigError(
                f"a grace period under {SHORTEST_GRACE / 3600:.0f} hours could delete what a push under way needs",
                hint="leave --grace out; or, if no push to this system is running on any machine, "
                "say so with --no-push-running",
            )


def prune_system(
    system: System, options: PruneOptions, observer: Observer, now: Callable[[], dt.datetime]
) -> PruneResult:
    """Prune one system; see `akosha_snap.prune`."""
    options.check()
    store = deleting(system.store)
    if store is None:
        raise CapabilityError(f"the store {system.store.url} cannot delete", hint="prune where it can")
    started = time.monotonic()
    observer.phase("look")
    looked_at = now()
    seen = look(system, options.rules, looked_at)
    marks = read_marks(system)  # after the manifests: whoever dropped one before that has left its mark
    limit = TimeLimit(PRUNE_LIMIT, now)
    unneeded = seen.sizes.keys() - seen.needed
    doubtful = unneeded if seen.is_blind else seen.released
    since = unneeded_since(unneeded, doubtful, marks.values(), limit.start)
    expired = older_than(options.grace, since, limit.start if options.no_push_running else looked_at)
    strays = [stray for stray in seen.strays if looked_at - upload_time(stray) >= options.grace]
    if not options.dry_run:
        observer.phase("delete")
        mark_key = prune_mark_key(system.id, mark_name(limit.start, options.token()))
        system.guard_changes(partial(_refuse_late_drop, limit, mark_key))
        if since:
            mark = PruneMark(time=limit.start, since={pack.hex(): time for pack, time in since.items()})
            system.store.put(mark_key, encode_mark(mark))
        _in_parallel(partial(_drop, system, store, seen), [*seen.dropped, *strays])
        _in_parallel(store.delete, (pack_key(system.id, pack) for pack in expired))
        _in_parallel(store.delete, marks)
        if left := sweeping(system.store):
            for prefix in (system_marker(system.id), own_prefix(system.id)):
                left.sweep(prefix)
    return msgspec.structs.replace(
        _describe(system, seen, since, expired, strays, options.grace),
        dry_run=options.dry_run,
        requests=system.meter.requests,
        duration_seconds=round(time.monotonic() - started, 3),
    )


def _drop(system: System, store: DeletingStore, seen: Look, upload_id: str) -> None:
    """Delete an upload, the manifest first: from then on there is no such snapshot."""
    manifest = manifest_key(system.id, upload_id)
    objects = seen.uploads[upload_id]
    for key in sorted(objects, key=lambda key: key != manifest):
        store.delete(key)
    store.delete(upload_marker(system.id, upload_id))


def _in_parallel(delete: Callable[[str], None], names: Iterable[str]) -> None:
    for _ in in_threads(delete, names, settles=True):  # a prune that failed deletes nothing behind its caller's back
        pass


def _refuse_late_drop(limit: TimeLimit, mark_key: str, key: str) -> None:
    """A push counts from when it saw a manifest, packs wait from the time in the mark: that must not be much older."""
    if limit.passed and (key == mark_key or upload_key(key)):
        raise AkoshaSnapError(
            f"the prune has taken {limit.elapsed / 60:.0f} minutes since it looked at the store, more than the "
            f"{PRUNE_LIMIT / 60:.0f} after which it may not rely on that",
            hint="prune again; every snapshot that is left is whole",
        )


def _describe(
    system: System,
    seen: Look,
    since: dict[bytes, dt.datetime],
    expired: set[bytes],
    strays: list[str],
    grace: dt.timedelta,
) -> PruneResult:
    gone = [*seen.dropped, *strays]
    waiting = since.keys() - expired
    return PruneResult(
        system_id=system.id,
        store=system.store.url,
        snapshots=[PrunedSnapshot(upload_id, bool(why), why) for upload_id, why in seen.reasons.items()],
        dropped=seen.dropped,
        strays=strays,
        packs_deleted=len(expired),
        bytes_freed=sum(seen.sizes[pack] for pack in expired) + sum(sum(seen.uploads[one].values()) for one in gone),
        packs_waiting=len(waiting),
        bytes_waiting=sum(seen.sizes[pack] for pack in waiting),
        waiting_until=max((since[pack] + grace for pack in waiting), default=None),
    )
