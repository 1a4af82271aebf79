"""Writes docs/cli.md from the commands themselves: `python tests/cli/help_pages.py`.

From their parameters, not from click's rendered help, which differs between its versions.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

_HEAD = """\
# Command line

Made by `python tests/cli/help_pages.py` from the commands' own help; a test keeps it current.
Settings that stand behind an option: [configuration.md](configuration.md). Exit codes:
[exit-codes.md](exit-codes.md). Every command has `--help`.
"""


def render() -> str:
    """The page."""
    from akosha_snap.cli.group import COMMANDS, PROGRAM, root

    context = click.Context(root, info_name=PROGRAM)
    parts = [_HEAD]
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        parts.append(_section(f"{PROGRAM} {name}", command))
    return "\n".join(parts)


def _section(name: str, command: click.Command) -> str:
    arguments = [f" {param.metavar}" for param in command.params if isinstance(param, click.Argument)]
    required = [f" {_form(p)}" for p in command.params if isinstance(p, click.Option) and p.required]
    lines = [f"## {name}", "", "```", f"{name}{''.join(arguments)}{''.join(required)} [OPTIONS]", "```", ""]
    lines += [" ".join(paragraph.split()) + "\n" for paragraph in (command.help or "").split("\n\n")]
    lines += ["| option | meaning |", "|---|---|"]
    for param in command.params:
        if isinstance(param, click.Option):
            lines.append(f"| `{_form(param)}` | {param.help} |")
    return "\n".join(lines) + "\n"


def _form(option: click.Option) -> str:
    value = f" {option.metavar}" if option.metavar else ""
    return f"{'/'.join([*option.opts, *option.secondary_opts])}{value}".replace("|", "\\|")


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1]))
    PAGE.write_text(render())
