"""A process of its own that pushes, prunes, verifies or restores until it is told to stop: `Worker` starts one.

Run as a program it reads its task as one line of JSON, waits for a second line, and prints a line of JSON for each
job that it has done. The clock is the true one and what the file `clock` adds to it, so that days can pass for
all processes at once.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError, DamageError

__all__ = ["Worker", "days", "held", "pass_days", "run_workers"]


def held(name: str, number: int) -> bytes:
    """What a worker's file holds at its push of this number: some of it new, some as before, some moved."""
    new, kept = _noise(30_000, (name, number)), _noise(100_000, name)
    return new + kept[: 997 * number % 100_000] + new[:100] + kept[997 * number % 100_000 :]


def _noise(size: int, seed: object) -> bytes:
    return blake3(repr(seed).encode()).digest(length=size)


def days(clock: Path) -> float:
    """How many days have been passed."""
    return float(clock.read_text()) if clock.exists() else 0.0


def pass_days(clock: Path, number: float) -> None:
    """Let days pass for all processes, between two of their readings of the clock."""
    unfinished = clock.with_suffix(".new")
    unfinished.write_text(str(days(clock) + number))
    unfinished.replace(clock)


class Worker:
    """A process that does `task` for each system, `rounds` times or until a file `stop` is there."""

    def __init__(self, task: str, folder: Path, url: str, systems: list[str], **options: Any) -> None:
        options |= {"task": task, "folder": str(folder), "url": url, "systems": systems}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(options) + "\n")
        self._process.stdin.flush()

    def wait_until_ready(self) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def start(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def results(self, timeout: float) -> list[dict[str, Any]]:
        """Each job: its system, number, name, and result or error."""
        out, err = self._process.communicate(timeout=timeout)
        assert self._process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def kill(self) -> None:
        self._process.kill()
        with self._process:
            pass


def run_workers(
    workers: list[Worker], meanwhile: Callable[[], None] = lambda: None, *, timeout: float = 120
) -> list[list[dict[str, Any]]]:
    """Start them at one moment, and wait for all; the results of each."""
    try:
        for worker in workers:
            worker.wait_until_ready()
        for worker in workers:
            worker.start()
        meanwhile()
        return [worker.results(timeout) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def _main() -> None:
    options = json.loads(sys.stdin.readline())
    folder, url, task = Path(options["folder"]), options["url"], options["task"]
    clock, stop = folder / "clock", folder / "stop"
    name = options.get("name", task)

    def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(days=days(clock))

    def push(system: str, number: int) -> str | None:
        path = folder / f"{name}-{system}.bin"
        path.write_bytes(held(f"{name}-{system}", number))
        os.utime(path, (1_700_000_000 + number,) * 2)
        state = folder / options["state"]
        result = api.push([path], url, system_id=system, state_dir=state, stage_in_child=False, now=now)
        return result.upload_id

    def prune(system: str, number: int) -> str:
        result = api.prune(url, system_id=system, keep_last=options["keep"], now=now)
        return f"{result.packs_deleted}"

    def verify(system: str, number: int) -> str:
        result = api.verify(url, "all", system_id=system, level="data")
        if not result.ok:
            raise DamageError(str(result.problems))
        return f"{result.objects}"

    def restore(system: str, number: int) -> str:
        with tempfile.TemporaryDirectory(dir=folder) as to:
            (file,) = api.restore(url, system_id=system, to=to).files
            return blake3(Path(file.path).read_bytes()).hexdigest()

    job = {"push": push, "prune": prune, "verify": verify, "restore": restore}[task]
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(options.get("rounds", 1_000_000)):
        for system in options["systems"]:
            done = {"system": system, "number": number, "name": f"{name}-{system}"}
            try:
                print(json.dumps(done | {"result": job(system, number)}), flush=True)
            except AkoshaSnapError as error:
                print(json.dumps(done | {"error": type(error).__name__, "message": str(error)}), flush=True)
        if stop.exists():
            return
        time.sleep(options.get("pause", 0.0))


if __name__ == "__main__":
    _main()
