"""Starts a command and prints what it used; run with `python -I -S`, alone, because it must be small.

A child's peak memory counts from the fork, so whoever forks must be smaller than what is measured.
Usage: launcher.py OUTPUT ERRORS COMMAND...; prints "exit-code wall cpu peak-kilobytes".
"""

import os
import sys
import time


def main() -> None:
    """Run the command with its output and errors in files, wait, print."""
    output, errors, *command = sys.argv[1:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, errors, flags, 0o600),
    ]
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - start
    unit = 1024 if sys.platform == "darwin" else 1  # macOS counts bytes
    print(os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // unit)


main()
