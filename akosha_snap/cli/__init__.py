"""The command line: parse, call the library, render. No logic lives here.

Every command is a module of its own, imported when it is run; so are the libraries it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run `akosha-snap` with `args` (those of the process where None) and leave with its exit code."""
    from akosha_snap.cli.boundary import leave, run
    from akosha_snap.signals import catch_signals

    # numpy's matrix threads, which nothing here uses, take 0.03 s and memory to start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    catch_signals()
    try:
        code = run(sys.argv[1:] if args is None else list(args))
    except KeyboardInterrupt:  # the second one: it came while the first was being reported
        code = 130
    leave(code)
