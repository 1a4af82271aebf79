"""A signal to stop becomes an exception in the main thread, so that staging folders are cleaned up."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["Terminated", "catch_signals", "how_stopped"]


class Terminated(KeyboardInterrupt):
    """Asked to stop by a signal other than Ctrl-C. A KeyboardInterrupt: no `except Exception` holds it up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = 128 + number


def catch_signals() -> None:
    """From here on SIGTERM and SIGHUP raise Terminated (Python itself raises KeyboardInterrupt for SIGINT)."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # left alone where the parent had it ignored, as nohup does
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _terminate)


def how_stopped(error: BaseException) -> tuple[str, int]:
    """The word for what a KeyboardInterrupt (or click's own) stands for, and its exit code."""
    code = int(getattr(error, "exit_code", 130))
    return "interrupted" if code == 130 else "terminated", code


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
