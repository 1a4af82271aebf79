"""The ledger of one hot store, tied to what is in it: the same path may hold another one tomorrow."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from akosha_snap.akosha.ledger import Ledger
from akosha_snap.errors import AkoshaSnapError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["BoundLedger"]

_NOTE = "hot store"
_TABLE = "akosha_snap.handed_over"
"""In a schema of our own: Akosha's tables are Akosha's."""


class _Stamp(msgspec.Struct, frozen=True):
    """Which hot store it is, and how often something was entered into its ledger."""

    hot_store: str
    entries: int


class BoundLedger(Ledger):
    """A ledger that is emptied where the hot store behind `connection` cannot have what it says.

    The hot store, a DuckDB, holds a random id and counts each entry, before it is made; the ledger notes
    both. So a file that was deleted and made anew, or replaced by another, has another id, and an earlier
    copy of the same file, put back, has counted less: either gets everything again, and `report` is
    told. Records that Akosha itself removes or moves elsewhere do not come back.
    """

    def __init__(self, path: Path, connection: DuckDBPyConnection, report: Callable[[str], None]) -> None:
        super().__init__(path)
        self._connection_to_hot_store = connection
        try:
            now = self._stamp(0)
            if len(self) and not _has_all(now, self.note(_NOTE)):
                self.forget()
                report(f"this is not the hot store that {path} tells of: everything is handed over to it")
        except BaseException:
            self.close()
            raise

    def add(self, ids: Iterable[str], notes: dict[str, bytes] | None = None) -> None:
        """As a ledger does; the hot store counts it first, so that a crash in between leaves it ahead, not behind."""
        super().add(ids, {**(notes or {}), _NOTE: msgspec.json.encode(self._stamp(1))})

    def _stamp(self, more: int) -> _Stamp:
        """What the hot store says of itself after `more` entries."""
        import duckdb

        try:
            with self._connection_to_hot_store.cursor() as cursor:
                cursor.execute("CREATE SCHEMA IF NOT EXISTS akosha_snap")
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (hot_store VARCHAR, entries BIGINT)")
                cursor.execute(f"INSERT INTO {_TABLE} SELECT '{uuid.uuid4().hex}', 0 WHERE NOT EXISTS (FROM {_TABLE})")
                cursor.execute(f"UPDATE {_TABLE} SET entries = entries + {more:d} RETURNING hot_store, entries")  # noqa: S608 - ours, all of it
                ((hot_store, entries),) = cursor.fetchall()
        except (duckdb.Error, ValueError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise AkoshaSnapError(
                f"Akosha's hot store cannot keep count of what was handed over to it: {said}",
                hint=f"free some space there; if that is not it, drop its table {_TABLE}",
            ) from None
        return _Stamp(hot_store, entries)


def _has_all(now: _Stamp, note: bytes | None) -> bool:
    """Whether the hot store that is `now` has everything the ledger with this note tells of."""
    try:
        then = msgspec.json.decode(note or b"", type=_Stamp)
    except msgspec.MsgspecError:
        return False
    return then.hot_store == now.hot_store and then.entries <= now.entries
