"""What this process has freed is not held against it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BLOCKS = """
import sys
from pathlib import Path
from akosha_snap.cli.heap import return_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "yes":
    return_freed_memory()
before = resident()
for _ in range(3):
    block = b"x" * (16 * 1024 * 1024)
    del block
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own")
@pytest.mark.parametrize(("asked", "kept"), [("yes", False), ("no", True)])
def test_large_blocks_go_back_to_the_system(asked, kept):
    """Without it they do not: should that change, the module is not needed any more."""
    run = subprocess.run([sys.executable, "-c", BLOCKS, asked], capture_output=True, text=True, check=True, timeout=60)
    assert (int(run.stdout) > 8 * 1024 * 1024) == kept
