"""Which upload of each system a worker should take next: the newest that can be read, if it is not done."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator

from akosha_snap.akosha.ledger import Ledger
from akosha_snap.errors import AkoshaSnapError, DamageError, NewerFormatError, NothingThereError, SourceError
from akosha_snap.manifest import Manifest
from akosha_snap.manifest.ids import is_upload_id
from akosha_snap.manifest.keys import SYSTEMS_PREFIX, upload_key
from akosha_snap.snapshot.system import System
from akosha_snap.stores import CountingStore, DeadlineStore, RetryingStore, Store, list_all

__all__ = ["Offers", "Upload"]

Upload = tuple[str, str]
"""A system id and an upload id."""

_AHEAD = dt.timedelta(minutes=5)
_AGE = dt.timedelta(days=365)
"""Akosha refuses a manifest from further ahead, or older (models/schemas.py)."""


class Offers:
    """Looks through a store for uploads. What is wrong with one is reported once and hides no other.

    `selection` names which of its records are handed over: an upload that is done by one is not so by another.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        report: Callable[[str], None],
        now: Callable[[], dt.datetime],
        *,
        selection: str,
    ) -> None:
        self._bare = store
        self._listing = RetryingStore(CountingStore(DeadlineStore(store)))
        self._ledger = ledger
        self._report = report
        self._now = now
        self._selection = selection
        self._systems: dict[str, System] = {}
        self._bad: dict[Upload, AkoshaSnapError] = {}
        self._waiting: dict[Upload, AkoshaSnapError] = {}
        self._reported: set[str] = set()

    def system(self, system_id: str) -> System:
        """The store seen from one system."""
        return self._systems.setdefault(system_id, System(self._bare, system_id))

    def abort(self) -> None:
        """No request is repeated any more."""
        self._listing.abort()
        for system in list(self._systems.values()):
            system.store.abort()

    def find(self) -> dict[str, tuple[str, Manifest]]:
        """For each system with something new: its upload id and manifest. One listing, and one GET for each."""
        self._waiting.clear()
        uploads: defaultdict[str, list[str]] = defaultdict(list)
        for info in list_all(self._listing, SYSTEMS_PREFIX):
            found = upload_key(info.key)
            if found and is_upload_id(found[1]):
                uploads[found[0]].append(found[1])
            elif found:
                self.say(f"{info.key} is passed over: akosha-snap did not write it")
        offers = {}
        for system_id in sorted(uploads):
            chosen = next(self._readable(system_id, sorted(uploads[system_id], reverse=True)), None)
            if chosen:
                offers[system_id] = chosen
        return offers

    def is_done(self, upload: Upload) -> bool:
        """Whether every record of this upload was handed over."""
        return not self._ledger.unknown([self._mark(upload)])

    def done(self, upload: Upload) -> None:
        """Never offer this upload again, nor an earlier one of the same system."""
        self._ledger.add([self._mark(upload)])

    def bad(self, upload: Upload, error: AkoshaSnapError) -> None:
        """Offer an earlier upload instead, as long as this process lives."""
        self._bad[upload] = error
        self.say(f"upload {upload[1]} of system {upload[0]} is passed over: {error}")

    def waits(self, upload: Upload, error: AkoshaSnapError) -> None:
        """It could not be read this time (no room, no network): the next time may have more luck."""
        self._waiting[upload] = error
        self._report(f"upload {upload[1]} of system {upload[0]} waits: {error}")

    @property
    def failure(self) -> AkoshaSnapError | None:
        """What kept an upload from being read since the last `find` began, or for good."""
        return next(iter([*self._waiting.values(), *self._bad.values()]), None)

    def say(self, message: str) -> None:
        """Report this, once."""
        if message not in self._reported:
            self._reported.add(message)
            self._report(message)

    def manifest(self, upload: Upload) -> Manifest | None:
        """The manifest of an upload; None where there is none that can be read, which is reported."""
        try:
            return self.system(upload[0]).manifest(upload[1])
        except NothingThereError:
            return None
        except (DamageError, NewerFormatError, SourceError) as error:
            self.bad(upload, error)
            return None

    def _readable(self, system_id: str, newest_first: list[str]) -> Iterator[tuple[str, Manifest]]:
        for upload_id in newest_first:
            upload = (system_id, upload_id)
            if upload in self._bad:
                continue
            if self.is_done(upload):
                return
            try:
                manifest = self.manifest(upload)
            except AkoshaSnapError as error:  # the store cannot answer now: the other systems may be luckier
                self.waits(upload, error)
                return
            if manifest and self._accepted(upload, manifest):
                yield upload_id, manifest

    def _accepted(self, upload: Upload, manifest: Manifest) -> bool:
        """Whether Akosha will accept this manifest now."""
        age = self._now() - manifest.uploaded_at
        if age < -_AHEAD:
            self.say(f"upload {upload[1]} of system {upload[0]} is from the future: it waits until then")
            return False
        if age > _AGE:
            self.say(f"upload {upload[1]} of system {upload[0]} is over a year old, and Akosha takes none; push again")
            return False
        return True

    def _mark(self, upload: Upload) -> str:
        """A finished upload's entry in the ledger: no record's id starts with a slash."""
        return f"/{upload[0]}/{upload[1]}/{self._selection}"
