"""Coverage-guided fuzzing of one target: `python -m fuzz TARGET CORPUS [libFuzzer's own options]`, in tests/.

What it finds is written to the working folder as `crash-*`, `timeout-*` or `oom-*`. Put such a file into
tests/fixtures/broken/TARGET/ under a name that says what is wrong with it: CI feeds it to the target ever after.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_LIMITS = ["-rss_limit_mb=1024", "-timeout=10", "-max_len=65536"]


def main() -> None:
    """Fuzz until libFuzzer's options say stop."""
    name, corpus, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["akosha_snap"]):
        from fuzz.targets import TARGETS, seeds
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *_LIMITS, *options, str(folder)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
