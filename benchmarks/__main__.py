"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.compare import Plan, compare, load
from benchmarks.data import SETS, data_set
from benchmarks.quick import quick
from benchmarks.report import write_report
from benchmarks.tools import TOOLS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
LONG = 64
DEFAULT_SETS = ("reflection-2.0", "reflection-1.5", "graph-2.0", "graph-1.5", "memory-2.0", "memory-1.5")


def main(arguments: list[str]) -> int:
    """Run what was asked for; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.quick:
        return quick(update=chosen.update)
    if not chosen.report:
        sets = list(SETS) if chosen.sets == "all" else _listed(chosen.sets, DEFAULT_SETS)
        tools = _listed(chosen.tools, TOOLS)
        if chosen.sessions < 1:
            raise SystemExit(f"--sessions {chosen.sessions}: at least 1")
        unknown = [name for name in tools if name not in TOOLS]
        if unknown:
            raise SystemExit(f"no tool {unknown[0]!r}; there are {', '.join(TOOLS)}")
        with tempfile.TemporaryDirectory(prefix="akosha-snap-bench-") as temporary:
            plan = Plan(
                work=Path(chosen.work or temporary).resolve(),
                sets=sets,
                tools=tools,
                sessions=chosen.sessions,
                long=[name if "@" in name else f"{name}@{LONG}" for name in _listed(chosen.long, ())],
                shaped=_listed(chosen.shaped, ()),
                akosha=chosen.akosha,
                scale=[f"scale-{megabytes}" for megabytes in _listed(chosen.scale, ())],
                say=lambda line: print(line, flush=True),
            )
            for name in (*plan.sets, *plan.long, *plan.scale, *plan.shaped):
                data_set(name)  # a name that is none ends it before any result is written
            plan.work.mkdir(parents=True, exist_ok=True)
            compare(plan, arguments, chosen.json, add=chosen.add)
    write_report(*load(chosen.json), page=chosen.page, pictures=chosen.page.parent / "img")
    print(f"{chosen.json} and {chosen.page} written")
    return 0


def _listed(text: str | None, otherwise: Iterable[str]) -> list[str]:
    if text is None:
        return list(otherwise)
    return [part for part in text.split(",") if part]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description="akosha-snap beside its peers, in one run.")
    parser.add_argument("--quick", action="store_true", help="no peers, under 2 minutes: compare with quick.json")
    parser.add_argument("--update", action="store_true", help="with --quick: write quick.json anew")
    parser.add_argument(
        "--sets", help=f"'all', or some of {','.join(SETS)},scale-MB, NAME@SESSIONS (default: the first six)"
    )
    parser.add_argument("--tools", help=f"some of {','.join(TOOLS)} (default: all)")
    parser.add_argument("--sessions", type=int, default=12, help="sessions after the first push (12)")
    parser.add_argument(
        "--long",
        help=f"also these sets with {LONG} sessions, by akosha-snap, restic and borg tuned, e.g. memory-2.0,memory-1.5",
    )
    parser.add_argument("--scale", help="also akosha-snap and restic on files of so many MB, e.g. 10,200,1000,10000")
    parser.add_argument("--shaped", help="also these sets at 20 Mbit/s and 50 ms per request, e.g. memory-2.0")
    parser.add_argument("--akosha", default="", metavar="URL", help="also send records by HTTP to this running Akosha")
    parser.add_argument("--work", type=Path, help="folder for data, kept between runs (default: a temporary one)")
    parser.add_argument("--json", type=Path, default=RESULTS, help="results (benchmarks/results.json)")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs" / "benchmarks.md", help="report (docs/benchmarks.md)"
    )
    parser.add_argument("--add", action="store_true", help="keep the results there are; replace what is run again")
    parser.add_argument("--report", action="store_true", help="run nothing: write the page again from the results")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
