"""Session-Buddy's own settings, read into ours: flat `akosha_*` fields (0.23) or a `cloud_sync` group (0.36)."""

from __future__ import annotations

from akosha_snap.config import Given

__all__ = ["host_settings"]


def host_settings(settings: object) -> Given:
    """The settings that `settings` holds; none where it is None or no such object.

    It may be Session-Buddy's settings, their `cloud_sync` group, or an `AkoshaSyncConfig` made of
    them. What is empty, or a default that says nothing (`auto`), counts as not set. Of the two
    newest, `force_method` can also be `sync` or `async`, which names no way: not set, too.
    """
    group = getattr(settings, "cloud_sync", settings)

    def text(name: str) -> str | None:
        value = getattr(group, f"akosha_{name}", None) or getattr(group, name, None)
        return value.strip() or None if isinstance(value, str) else None

    def switch(name: str) -> bool | None:
        value = getattr(group, f"akosha_{name}", getattr(group, name, None))
        return value if isinstance(value, bool) else None

    bucket, method = text("cloud_bucket"), text("force_method")
    return Given(
        store=bucket if bucket is None or "://" in bucket else f"s3://{bucket}",
        endpoint=text("cloud_endpoint"),
        region=text("cloud_region"),
        system_id=text("system_id"),
        force_method=method if method in {"cloud", "http"} else None,
        enable_fallback=switch("enable_fallback"),
        upload_on_session_end=switch("upload_on_session_end"),
    )
