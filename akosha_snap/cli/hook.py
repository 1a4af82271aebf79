"""`akosha-snap hook`"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from akosha_snap.cli.options import json_option

if TYPE_CHECKING:
    from akosha_snap.integrations.settings_file import SettingsEdit

__all__ = ["command"]

_ACTIONS = ("install", "uninstall", "run")


@click.command("hook", short_help="Sync at the end of every Claude Code session.")
@click.argument("action", metavar="install|uninstall|run", type=click.Choice(_ACTIONS))
@click.option("--dry-run", is_flag=True, help="Show what install or uninstall would change; write nothing.")
@click.option(
    "--settings",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Claude Code's settings. Default: settings.json in CLAUDE_CONFIG_DIR or ~/.claude.",
)
@json_option
def command(action: str, dry_run: bool, settings: Path | None, as_json: bool) -> None:
    """Sync at the end of every Claude Code session.

    `install` puts a SessionEnd hook into Claude Code's settings, `uninstall` takes it out; all else
    in the file stays, and a copy of it as it was is kept beside it. `run` is what the hook calls: it
    starts the sync in the background and returns at once; `akosha-snap status` says how it went.
    """
    if action == "run":
        if dry_run or settings:
            raise click.UsageError("run takes neither --dry-run nor --settings")
        _run(as_json)
        return
    from akosha_snap.integrations.claude_code import hook_command, plan_install, plan_uninstall
    from akosha_snap.integrations.settings_file import apply

    path = settings or _default_settings()
    edit = plan_install(path, hook_command(sys.executable)) if action == "install" else plan_uninstall(path)
    backup = None if dry_run else apply(edit)
    _report(edit, action, backup, dry_run, as_json)


def _run(as_json: bool) -> None:
    from akosha_snap.errors import SourceError
    from akosha_snap.sync.session import sync_in_background

    if not sync_in_background():
        raise SourceError("the sync could not be started", hint="run `akosha-snap push` to see why")
    if as_json:
        from akosha_snap.cli.output import json_line

        json_line({"started": True})


def _default_settings() -> Path:
    folder = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else Path("~/.claude")).expanduser() / "settings.json"


def _report(edit: SettingsEdit, action: str, backup: Path | None, dry_run: bool, as_json: bool) -> None:
    if as_json:
        from akosha_snap.cli.output import json_line

        kept = str(backup) if backup else None
        json_line({"changed": edit.changed, "dry_run": dry_run, "settings": str(edit.path), "backup": kept})
        return
    if not edit.changed:
        state = "is installed already" if action == "install" else "is not installed"
        click.echo(f"the hook {state}: {edit.path} stays as it is")
        return
    if dry_run:
        import difflib

        before, after = (edit.before or "").splitlines(), (edit.after or "").splitlines()
        for line in difflib.unified_diff(before, after, str(edit.path), str(edit.path), lineterm=""):
            click.echo(line)
        click.echo("dry run: nothing was written")
        return
    click.echo(f"the hook is {action}ed in {edit.path}{f'; as it was: {backup}' if backup else ''}")
