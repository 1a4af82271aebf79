"""One try at copying a file of any other kind: whole, and unchanged meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path

from akosha_snap.errors import ConfigError
from akosha_snap.source.blocks import Meter
from akosha_snap.source.files import PIECE, moment, new_file, open_regular, read_piece, write_piece
from akosha_snap.source.model import Copied, StagedFile
from akosha_snap.source.settle import Unsettled

__all__ = ["copy_plain"]

_FRESH = 0.05
"""Seconds. A file's time ticks only every 1-10 ms (4 on this kernel), so a change right after
another leaves no trace: what was written to this recently is looked at again."""


def copy_plain(path: Path, into: Path, meter: Meter) -> Copied:
    """Copy `path` into the folder `into`, once. Raises Unsettled when it moved meanwhile."""
    copy = into / path.name
    try:
        with open_regular(path) as source, new_file(copy) as target:
            before = moment(os.fstat(source.fileno()))
            size = 0
            while size < before.size and (piece := read_piece(path, source, min(PIECE, before.size - size))):
                write_piece(copy, target, meter.count(piece))
                size += len(piece)
            after = moment(path.stat())
    except (ConfigError, FileNotFoundError) as error:
        gone = error if isinstance(error, ConfigError) else None
        raise Unsettled("it has gone", final=gone) from error
    if before != after or size != before.size or 0 <= time.time() - after.modified_ns / 1e9 < _FRESH:
        raise Unsettled("it is being written")
    return Copied([StagedFile(path.name, str(copy), size, "plain")])
