"""A first snapshot, told as a story: a live memory, two pushes, a check, two restores, all compared."""

from __future__ import annotations

from akosha_snap.demo.steps import Built, Checked, DemoResult, Pushed, Restored, Step, Worked
from akosha_snap.demo.story import run_demo

__all__ = ["Built", "Checked", "DemoResult", "Pushed", "Restored", "Step", "Worked", "run_demo"]
