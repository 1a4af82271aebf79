"""Session-Buddy's own settings, read into ours: flat `akosha_*` fields (0.23) or a `cloud_sync` group (0.36)."""

from __future__ import annotations

from typing import Any, NamedTuple

from akosha_snap.config import Given

__all__ = ["HostSettings", "host_settings"]

_NAMES_NO_WAY = {"auto", "sync", "async"}
"""What `force_method` can say there without naming a way: the last two are 0.36's, of something else."""


class HostSettings(NamedTuple):
    """What the host program sets, and a word on each of its settings that cannot be right and so counts as not set."""

    given: Given
    ignored: list[str]


def host_settings(settings: object) -> HostSettings:
    """The settings that `settings` holds; none where it is None or no such object.

    It may be Session-Buddy's settings, their `cloud_sync` group, or an `AkoshaSyncConfig` made of
    them. What is empty, or a default that says nothing (`auto`), counts as not set.
    """
    group = getattr(settings, "cloud_sync", settings)
    ignored: list[str] = []

    def value(name: str) -> Any:
        found = getattr(group, f"akosha_{name}", None)
        return getattr(group, name, None) if found is None else found

    def ignore(name: str, why: str) -> None:
        ignored.append(f"{name} of the host program is {why}: it counts as not set")

    def text(name: str) -> str | None:
        found = value(name)
        if found is not None and not isinstance(found, str):
            ignore(name, "no text")
            return None
        return found.strip() or None if found else None

    def switch(name: str) -> bool | None:
        found = value(name)
        if found is not None and not isinstance(found, bool):
            ignore(name, "neither true nor false")
            return None
        return found

    def method() -> str | None:
        found = text("force_method")
        if found in {"cloud", "http"}:
            return found
        if found is not None and found not in _NAMES_NO_WAY:
            ignore("force_method", "not one of auto, cloud, http")
        return None

    bucket = text("cloud_bucket")
    given = Given(
        store=bucket if bucket is None or "://" in bucket else f"s3://{bucket}",
        endpoint=text("cloud_endpoint"),
        region=text("cloud_region"),
        system_id=text("system_id"),
        force_method=method(),
        enable_fallback=switch("enable_fallback"),
        upload_on_session_end=switch("upload_on_session_end"),
    )
    return HostSettings(given, ignored)
