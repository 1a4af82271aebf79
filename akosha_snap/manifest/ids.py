"""System ids, upload ids and file names: what is valid, and how each is made."""

from __future__ import annotations

import datetime as dt
import re

from akosha_snap.errors import ConfigError, ConflictError, NothingThereError
from akosha_snap.frames import content_hash

__all__ = [
    "bare_name",
    "check_system_id",
    "check_upload_id",
    "id_time",
    "is_file_name",
    "is_upload_id",
    "make_upload_id",
    "system_id_from_hostname",
    "upload_time",
]

_SYSTEM_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_UPLOAD_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_TIME = "%Y%m%dT%H%M%SZ"
_BARE_NAME = re.compile(r"[a-zA-Z0-9_\-.]{1,255}")
_RESERVED = {"manifest.json", "memories.json"}  # names Akosha reads beside a full file


def check_system_id(system_id: str) -> str:
    """The id itself where Akosha accepts it (1 to 100 of A-Z a-z 0-9 _ -). Raises ConfigError."""
    if not _SYSTEM_ID.fullmatch(system_id):
        raise ConfigError(
            f"system id {system_id!r} is not valid",
            hint="use 1 to 100 of the characters A-Z a-z 0-9 _ - (Akosha accepts no others)",
        )
    return system_id


def system_id_from_hostname(hostname: str) -> str:
    """A valid system id for this machine: `mac.local` gives `mac-local`. Raises ConfigError where none is left."""
    made = re.sub(r"[^A-Za-z0-9_-]+", "-", hostname).strip("-")[:100]
    if not made:
        raise ConfigError(f"no system id can be made of the hostname {hostname!r}", hint="give one with --system-id")
    return made


def make_upload_id(root: bytes, now: dt.datetime, newest: str | None) -> str:
    """`YYYYMMDDTHHMMSSZ-xxxxxxxx`: UTC to the second and 8 hex digits of the snapshot's root.

    The last push is the newest snapshot even when this machine's clock runs behind:
    at or before the time of `newest` (an upload id), its next second is taken. Raises
    ConflictError where there is none.
    """
    moment = now.astimezone(dt.UTC).replace(microsecond=0)
    if newest is not None:
        try:
            moment = max(moment, upload_time(newest) + dt.timedelta(seconds=1))
        except OverflowError:
            raise ConflictError(f"snapshot {newest} is of the last second there is", hint="remove it") from None
    return f"{id_time(moment)}-{root.hex()[:8]}"


def id_time(moment: dt.datetime) -> str:
    """A moment as ids begin with it: `YYYYMMDDTHHMMSSZ`, in UTC."""
    return moment.astimezone(dt.UTC).strftime(_TIME)


def check_upload_id(upload_id: str) -> str:
    """The id itself where it has our shape. Raises NothingThereError: no snapshot can be called otherwise."""
    if not is_upload_id(upload_id):
        raise NothingThereError(
            f"no snapshot is called {upload_id!r}", hint="run `akosha-snap list` for those that exist"
        )
    return upload_id


def is_upload_id(text: str) -> bool:
    """Whether `text` has the shape of our upload ids."""
    try:
        upload_time(text)
    except ValueError:
        return False
    return True


def upload_time(upload_id: str) -> dt.datetime:
    """The time in an upload id, in UTC. Raises ValueError for what is not one."""
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise ValueError(f"{upload_id!r} is not an upload id")
    return dt.datetime.strptime(upload_id[:16], _TIME).replace(tzinfo=dt.UTC)


def is_file_name(name: str) -> bool:
    """Whether `name` names a file in one folder and nothing else: one component, UTF-8, no control characters."""
    return (
        name not in {"", ".", ".."}
        and not any(c in "/\\" or ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in name)
        and len(name.encode()) <= 255
    )


def bare_name(name: str) -> str:
    """`name` as Akosha's `files` allows it: itself, or else cleaned and made unique by its hash."""
    if _BARE_NAME.fullmatch(name) and ".." not in name and name not in _RESERVED and not name.startswith("."):
        return name
    cleaned = re.sub(r"\.{2,}", ".", re.sub(r"[^a-zA-Z0-9_\-.]+", "-", name)).strip(".")[:200]
    return f"{cleaned}-{content_hash(name.encode()).hex()[:8]}"
