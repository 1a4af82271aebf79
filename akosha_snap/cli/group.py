"""The command `akosha-snap` itself: knows its commands by name, imports one when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click

from akosha_snap.cli.stopped import Stopped
from akosha_snap.version import __version__

__all__ = ["COMMANDS", "PROGRAM", "root"]

PROGRAM = "akosha-snap"

COMMANDS = ("push", "list", "show", "restore", "verify", "repair", "prune", "status", "hook", "demo")
"""In the order of a first day with them."""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"akosha_snap.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what stops it from outside leaves as Stopped, before click prints its own word on it."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError) as error:
            raise Stopped(error, ctx.invoked_subcommand) from error


@click.command(PROGRAM, cls=LazyGroup, invoke_without_command=True, no_args_is_help=False)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def root(ctx: click.Context) -> None:
    """Incremental, content-addressed snapshots of DuckDB memory databases.

    Start with `akosha-snap demo`, then `akosha-snap push --store URL`. A store is a folder
    or s3://bucket/prefix. Settings and exit codes: docs/configuration.md, docs/exit-codes.md.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
