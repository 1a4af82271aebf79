"""How the tests start `akosha-snap`, and what it left."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import akosha_snap

__all__ = ["ROOT", "Cli", "Outcome", "command_line"]

ROOT = Path(akosha_snap.__file__).parents[1]


class Outcome(NamedTuple):
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which must be JSON and nothing else."""
        assert self.out.endswith("\n")
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on stderr, without its prefix."""
        lines = [line for line in self.err.splitlines() if not line.startswith("akosha-snap: warning: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        prefix = "akosha-snap: error: "
        assert lines[0].startswith(prefix)
        return lines[0].removeprefix(prefix)

    @property
    def json_error(self) -> dict[str, Any]:
        """The one line on stderr, as JSON."""
        assert self.err.count("\n") == 1
        (error,) = json.loads(self.err).values()
        assert set(error) == {"kind", "message", "hint", "exit_code"}
        assert error["exit_code"] == self.code
        assert "\n" not in error["message"] + error["hint"]
        return error


Cli = Callable[..., Outcome]


def command_line(*args: object) -> list[str]:
    return [sys.executable, "-m", "akosha_snap", *map(str, args)]
