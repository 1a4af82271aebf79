"""Which system in which store a command works on, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from akosha_snap.config import Settings
from akosha_snap.errors import ConfigError

if TYPE_CHECKING:
    from akosha_snap.stores import Store

__all__ = ["Target", "open_target"]


class Target(NamedTuple):
    """A system in a store; `label` says which, and where a system id that nobody gave came from."""

    store: Store
    system_id: str
    label: str


def open_target(settings: Settings) -> Target:
    """Open the store the settings name; nothing is read or sent yet. Raises ConfigError."""
    from akosha_snap.stores import open_store

    url, origin = settings.need_store()
    try:
        store = open_store(url, endpoint=settings.endpoint, region=settings.region)
    except ConfigError as error:
        raise ConfigError(f"{error.message} ({origin})", hint=error.hint) from None
    derived = ", from the hostname" if settings.system_id_origin == "hostname" else ""
    return Target(store, settings.system_id, f"system {settings.system_id}{derived}")
