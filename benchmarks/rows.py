"""One measurement: a row of the results, as it goes into the JSON."""

from __future__ import annotations

import dataclasses

__all__ = ["Row", "not_measured"]


@dataclasses.dataclass
class Row:
    """What one operation of one tool on one data set took.

    Bytes and requests are exact: `up`, `down` and `requests` were counted on the wire (None for a tool
    that stores in a folder), `stored` is how much the place has grown, `total` what lies there. Times are
    in seconds, `peak` in bytes. `age` is how many snapshots lie between the one restored and the latest.
    `size` is of the files pushed, `changed` how much of them differs from the push before, by pages of 64 KiB.
    """

    data: str
    tool: str
    operation: str
    shape: str = ""
    number: int = 0
    age: int | None = None
    size: int = 0
    changed: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    up: int | None = None
    down: int | None = None
    requests: dict[str, int] | None = None
    connections: int | None = None
    stored: int = 0
    total: int = 0
    objects: int = 0
    problem: str = ""
    """Why it was not measured, or what was wrong with the outcome; empty where all is well."""

    @property
    def request_count(self) -> int | None:
        """All requests, whatever the method."""
        return None if self.requests is None else sum(self.requests.values())


def not_measured(data: str, tool: str, shape: str, why: str) -> Row:
    """The row of what could not be."""
    return Row(data, tool, "none", shape, problem=why)
