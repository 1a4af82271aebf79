"""What a whole process costs: wall clock, CPU (its children's too), peak memory of the largest process."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["Command", "Failed", "Used", "run", "run_all"]

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclasses.dataclass(frozen=True)
class Command:
    """One command to run; `accept` are the exit codes that are no failure."""

    words: Sequence[str | Path]
    folder: Path | None = None
    accept: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class Used:
    """What one command, or several in a row, took; `peak` is in bytes, times in seconds."""

    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    output: str = ""

    def __add__(self, other: Used) -> Used:
        return Used(
            self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak), self.output + other.output
        )


class Failed(Exception):
    """A measured command failed or took too long."""


def run(command: Command, environment: Mapping[str, str], *, scratch: Path, timeout: float) -> Used:
    """Run one command to its end; its output is kept, its errors too if it fails."""
    words = [str(word) for word in command.words]
    output, errors = scratch / "output", scratch / "errors"
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(output), str(errors), *words]
    with subprocess.Popen(
        launch, env=dict(environment), cwd=command.folder, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            answer, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{words[0]} took more than {timeout:.0f} s") from None
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise Failed(f"{words[0]} could not be started")
    code, wall, cpu, peak = answer.split()
    if int(code) not in command.accept:
        said = (errors.read_text("utf-8", "replace") + output.read_text("utf-8", "replace")).strip()
        raise Failed(f"{' '.join(words[:4])}: exit {code}: {said[-500:]}")
    return Used(float(wall), float(cpu), int(peak) * 1024, output.read_text("utf-8", "replace"))


def run_all(commands: Sequence[Command], environment: Mapping[str, str], *, scratch: Path, timeout: float) -> Used:
    """Run commands one after another and add up what they used."""
    total = Used()
    for command in commands:
        total += run(command, environment, scratch=scratch, timeout=timeout)
    return total
