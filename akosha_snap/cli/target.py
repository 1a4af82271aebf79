"""Which system in which store a command works on, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from akosha_snap.config import Settings

if TYPE_CHECKING:
    from akosha_snap.stores import Store

__all__ = ["Target", "label_of", "open_target"]


class Target(NamedTuple):
    """A system in a store; `label` says which, and where a system id that nobody gave came from."""

    store: Store
    system_id: str
    label: str


def open_target(settings: Settings) -> Target:
    """Open the store the settings name; nothing is read or sent yet. Raises ConfigError."""
    from akosha_snap.sync.cloud import open_configured_store

    return Target(open_configured_store(settings), settings.system_id, label_of(settings))


def label_of(settings: Settings) -> str:
    """Which system, and where an id that nobody gave came from."""
    derived = ", from the hostname" if settings.system_id_origin == "hostname" else ""
    return f"system {settings.system_id}{derived}"
