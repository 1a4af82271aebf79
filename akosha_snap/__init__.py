"""akosha-snap: incremental, content-addressed snapshots of DuckDB memory databases.

`push`, `snapshots`, `show`, `verify`, `repair`, `restore` and `prune` are the library; each is imported
on first use, so that `import akosha_snap` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from akosha_snap.version import __version__

if TYPE_CHECKING:
    from akosha_snap.api import prune, push, repair, restore, show, snapshots, verify
    from akosha_snap.errors import AkoshaSnapError
    from akosha_snap.events import Observer
    from akosha_snap.stores import open_store

__all__ = [
    "AkoshaSnapError",
    "Observer",
    "__version__",
    "open_store",
    "prune",
    "push",
    "repair",
    "restore",
    "show",
    "snapshots",
    "verify",
]

_HOMES = {"AkoshaSnapError": "errors", "Observer": "events", "open_store": "stores"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'api')}"), name)
