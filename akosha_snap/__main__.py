"""`python -m akosha_snap` is the same as `akosha-snap`."""

from __future__ import annotations

from akosha_snap.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
