"""Pull the plug on an operation at the Nth system call that changes anything, whichever thread makes it.

Between two such calls nothing on a disk or at the other end of a socket changes, so stopping at each of
them in turn is every kill -9 there is. A forked child runs the operation; a seccomp filter makes the kernel stop
it at these calls alone, and ptrace tells its parent, so that what SQLite and DuckDB write counts too.
Linux on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = ["HERE", "How", "Outcome", "pull"]

HERE = sys.platform == "linux" and platform.machine() == "x86_64"
"""Whether it works on this machine."""

How = Literal["kill", "torn", "full"]
"""`kill`: before the call; `torn`: after half of what it writes; `full`: no kill, but from then on the disk is full."""


class Outcome(NamedTuple):
    """`calls` that change something, up to the plug's; whether that was `reached`; what the operation raised."""

    calls: list[str]
    reached: bool
    error: str


class _Call(NamedTuple):
    """A system call: what its arguments are, f: a descriptor, p: a path, d: a folder's descriptor before its path."""

    name: str
    arguments: str
    grows: bool = True


_CALLS = {
    1: _Call("write", "f"), 18: _Call("pwrite", "f"), 20: _Call("writev", "f"), 296: _Call("pwritev", "f"),
    44: _Call("send", "f"), 46: _Call("sendmsg", "f"), 40: _Call("sendfile", "f"), 326: _Call("copy_range", "--f"),
    76: _Call("truncate", "p"), 77: _Call("ftruncate", "f"), 285: _Call("fallocate", "f"),
    2: _Call("open", "p"), 85: _Call("creat", "p"), 257: _Call("openat", "dp"), 16: _Call("ioctl", "f"),
    82: _Call("rename", "pp", False), 264: _Call("renameat", "dpdp", False), 316: _Call("renameat2", "dpdp", False),
    86: _Call("link", "pp"), 265: _Call("linkat", "dpdp"), 88: _Call("symlink", "-p"), 266: _Call("symlinkat", "-dp"),
    87: _Call("unlink", "p", False), 263: _Call("unlinkat", "dp", False), 84: _Call("rmdir", "p", False),
    83: _Call("mkdir", "p"), 258: _Call("mkdirat", "dp"), 90: _Call("chmod", "p", False),
    91: _Call("fchmod", "f", False), 268: _Call("fchmodat", "dp", False), 280: _Call("utimensat", "dp", False),
}  # fmt: skip
"""arch/x86/entry/syscalls/syscall_64.tbl. Of fsync and flock nothing is left after a kill."""

_FICLONE = 0x40049409
_RAX, _RDX, _ORIG_RAX = 10, 12, 15
_ARGUMENTS = (14, 13, 12, 7)  # rdi, rsi, rdx, r10 in user_regs_struct
_TRACEME, _CONT, _GETREGS, _SETREGS, _SYSCALL, _SETOPTIONS = 0, 7, 12, 13, 24, 0x4200
_OPTIONS = 0x100000 | 0x80 | 0x8 | 0x4 | 0x2  # kill with the tracer; stop at the filter, threads, vforks and forks
_SECCOMP_STOP = signal.SIGTRAP | 7 << 8
_WALL = 0x40000000
_Registers = ctypes.c_ulonglong * 27

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def pull(
    operation: Callable[[], object], folder: Path, at: int | None = None, how: How = "kill", where: str = ""
) -> Outcome:
    """Run `operation` in a child and pull the plug at call number `at`, from 0, of those below `folder` and on sockets.

    `where`: for `full`, the part of `folder` whose disk is full. With None it runs to its end.
    This process must have one thread and no other child.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _child(operation, writer)
    os.close(writer)
    try:
        calls, reached = _Tracer(pid, folder, at, how, where).run()
        with os.fdopen(reader, "rb", closefd=False) as said:
            return Outcome(calls, reached, said.read().decode(errors="replace"))
    finally:
        os.close(reader)


def _child(operation: Callable[[], object], writer: int) -> None:
    try:
        _libc.ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        _filter()
        operation()
    except BaseException as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        os.write(writer, f"{type(error).__name__}: {error} ({Path(line.filename).name}:{line.lineno})".encode())
    finally:
        os._exit(0)


def _filter() -> None:
    """Have the kernel stop this process at _CALLS (seccomp with a BPF program)."""
    numbers = list(_CALLS)
    steps = [(0x20, 0, 0, 0)]  # load the number of the call
    steps += [(0x15, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FF00000)]  # allow; tell the tracer
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    if _libc.prctl(38, 1, 0, 0, 0) or _libc.prctl(22, 2, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp")


class _Tracer:
    def __init__(self, pid: int, folder: Path, at: int | None, how: How, where: str) -> None:
        self._pid, self._folder, self._at, self._how, self._where = pid, f"{folder}/", at, how, where
        self._registers = _Registers()
        self._calls: list[str] = []
        self._reached = False

    def run(self) -> tuple[list[str], bool]:
        os.waitpid(self._pid, 0)
        if self._ptrace(_SETOPTIONS, self._pid, _OPTIONS):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            return [], False  # tracing is not allowed here
        self._ptrace(_CONT, self._pid)
        while True:
            thread, status = os.waitpid(-1, _WALL)
            if thread == self._pid and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
                return self._calls, self._reached
            if not os.WIFSTOPPED(status):
                continue
            number, resume = os.WSTOPSIG(status), _CONT
            if status >> 8 == _SECCOMP_STOP:
                resume = self._met(thread)
            passed_on = 0 if number in {signal.SIGTRAP, signal.SIGSTOP} else number
            self._ptrace(resume, thread, passed_on)
            if resume == _SYSCALL:  # half of it, and no more
                self._wait_for(thread)
                os.kill(self._pid, signal.SIGKILL)

    def _wait_for(self, thread: int) -> None:
        while True:
            _, status = os.waitpid(thread, _WALL)
            if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) == signal.SIGTRAP:
                return
            self._ptrace(_SYSCALL, thread)

    def _met(self, thread: int) -> int:
        """A thread is about to make one of the calls. Returns how to let it go on."""
        if self._ptrace(_GETREGS, thread, 0, ctypes.addressof(self._registers)):
            return _CONT  # it is gone
        call = _CALLS[self._registers[_ORIG_RAX]]
        said = self._describe(thread, call)
        if said is None:
            return _CONT
        number = len(self._calls)
        if not self._reached or self._how == "full":
            self._calls.append(said)
        if self._at is None or number < self._at:
            return _CONT
        self._reached = True
        if self._how == "full":
            if call.grows and f" {self._where}" in said:
                self._registers[_ORIG_RAX], self._registers[_RAX] = 2**64 - 1, 2**64 - errno.ENOSPC
                self._ptrace(_SETREGS, thread, 0, ctypes.addressof(self._registers))
            return _CONT
        if self._how == "torn" and call.name in {"write", "pwrite", "send"}:
            self._registers[_RDX] //= 2
            self._ptrace(_SETREGS, thread, 0, ctypes.addressof(self._registers))
            return _SYSCALL
        os.kill(self._pid, signal.SIGKILL)
        return _CONT

    def _describe(self, thread: int, call: _Call) -> str | None:
        """The call in words, None for one that changes nothing of ours."""
        values = [self._registers[i] for i in _ARGUMENTS]
        if call.name == "ioctl" and values[1] != _FICLONE:
            return None
        if call.name in {"open", "openat"} and not values[len(call.arguments)] & (os.O_CREAT | os.O_TRUNC):
            return None
        places, base = [], ""
        for kind, value in zip(call.arguments, values, strict=False):
            descriptor = ctypes.c_int(value & 0xFFFFFFFF).value
            if kind in "df":
                base = _link(f"/proc/{thread}/fd/{descriptor}") if descriptor >= 0 else _link(f"/proc/{thread}/cwd")
                places += [base] if kind == "f" else []
            elif kind == "p":
                path = _text(thread, value)
                places.append(path if path.startswith("/") else f"{base or _link(f'/proc/{thread}/cwd')}/{path}")
        ours = [place.removeprefix(self._folder) for place in places if place.startswith((self._folder, "socket:"))]
        return f"{call.name} {' '.join(re.sub('socket:.*', 'socket', place) for place in ours)}" if ours else None

    def _ptrace(self, request: int, thread: int, data: int = 0, address: int = 0) -> int:
        return int(_libc.ptrace(request, thread, None, address or data))


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _text(thread: int, address: int) -> str:
    try:
        with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            data = memory.read(min(4096, 4096 - address % 4096))
            if b"\0" not in data:
                data += memory.read(4096)
    except OSError:
        return ""
    return os.fsdecode(data.partition(b"\0")[0])
