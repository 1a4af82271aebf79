"""Everything that can be run on this project: `nox` runs the tests, `nox -l` lists the rest."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"

PYPROJECT = nox.project.load_toml(Path(__file__).parent / "pyproject.toml")

BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Whatever the shell says: each process a test starts would compile again what it imports, for Akosha 4 s of CPU."""

ON_EVERY_CORE = ["--numprocesses", "auto", "--dist", "worksteal"]
FUZZED = ["chunk_list", "database", "footer", "frame", "manifest", "pack", "store_format", "wal"]


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite, a real SeaweedFS included; fails under 90% coverage."""
    session.install("--quiet", "--editable", ".", *_group("test"))
    session.run("pytest", "--cov", *ON_EVERY_CORE, *session.posargs, env=BYTECODE)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff and mypy --strict."""
    session.install("--quiet", "--editable", ".", *_group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python="3.13")
def contract(session: nox.Session) -> None:
    """The real akosha and session-buddy (their last releases for Python 3.13): manifests, worker, server, end hook."""
    session.install("--quiet", "--editable", ".", *_group("contract"))
    session.run("pytest", "-m", "akosha", "tests/contract", *session.posargs, env=BYTECODE)


@nox.session
def stress(session: nox.Session) -> None:
    """The long fault tests that the others leave out."""
    session.install("--quiet", "--editable", ".", *_group("test"))
    session.run("pytest", "-m", "stress", *session.posargs, env=BYTECODE)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks: the quick run that CI makes, or `nox -s bench -- ARGUMENTS`."""
    session.install("--quiet", ".", *_group("bench"))
    session.run("python", "-m", "benchmarks", *(session.posargs or ["--quick"]))


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """Coverage-guided fuzzing of every parser, 60 s each; `nox -s fuzz -- SECONDS [TARGET ...]`. Linux."""
    session.install("--quiet", "--editable", ".", *_group("fuzz"))
    seconds, *targets = session.posargs or ["60"]
    found = session.create_tmp()
    tests = Path(__file__).parent / "tests"
    for target in targets or FUZZED:
        session.run(
            "python", "-m", "fuzz", target, f"{found}/{target}", f"-max_total_time={seconds}",
            f"-artifact_prefix={found}/{target}-", env={"PYTHONPATH": str(tests)},
        )  # fmt: skip


def _group(name: str) -> list[str]:
    return nox.project.dependency_groups(PYPROJECT, name)
