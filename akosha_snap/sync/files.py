"""Which files a sync takes."""

from __future__ import annotations

from pathlib import Path

from akosha_snap.config import MEMORY_FILES, Settings
from akosha_snap.errors import NothingThereError

__all__ = ["memory_files"]


def memory_files(settings: Settings, *, reflections: bool = True, knowledge_graph: bool = True) -> list[Path]:
    """The memory databases in the data folder, those that are wanted and there. Raises NothingThereError for none."""
    wanted = [name for name, on in zip(MEMORY_FILES, (reflections, knowledge_graph), strict=True) if on]
    found = [path for path in settings.memory_files() if path.name in wanted]
    if not wanted:
        raise NothingThereError("nothing to push: neither memory was asked for", hint="ask for one of them")
    if not found:
        names = f"neither {' nor '.join(wanted)} is" if len(wanted) > 1 else f"no {wanted[0]} is"
        raise NothingThereError(
            f"nothing to push: {names} in {settings.data_dir}",
            hint="name a FILE, or set AKOSHA_SNAP_DATA_DIR to the folder they are in",
        )
    return found
