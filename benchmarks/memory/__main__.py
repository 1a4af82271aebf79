"""`python -m benchmarks.memory grow PATH MEGABYTES SEED | session PATH SEED [wal] [hnsw] | befall PATH WHAT`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.memory.history import befall, grow, session


def main(words: list[str]) -> None:
    """Do one thing to one database."""
    what, path, *rest = words
    if what == "grow":
        grow(Path(path), float(rest[0]), int(rest[1]))
    elif what == "session":
        session(Path(path), int(rest[0]), leave_wal="wal" in rest, hnsw="hnsw" in rest)
    else:
        befall(Path(path), rest[0])


if __name__ == "__main__":  # not in the child that makes rows
    main(sys.argv[1:])
