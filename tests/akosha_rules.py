"""Akosha's rules for a manifest, in plain Python: a copy of SystemMemoryUploadManifest for tests without akosha.

Field by field what akosha.models.schemas (0.11.0 to 0.24.5) asks of a `manifest.json`, and what its worker
does before it asks. The real class is tried in tests/contract, in an environment of its own.
"""

from __future__ import annotations

import datetime as dt
import json
import re

__all__ = ["check_manifest", "is_system_id", "is_upload_id"]

_BARE_NAME = re.compile(r"^[a-zA-Z0-9_\-.]+$")
_FORMATS = {"gzip", "zstd", "lz4"}


def check_manifest(data: bytes, now: dt.datetime) -> None:
    """Assert that Akosha, at the time `now`, accepts these bytes as a manifest."""
    manifest = json.loads(data)
    assert isinstance(manifest, dict), "a list is a poison pill: it hides every upload of the system"
    _check_time(dt.datetime.fromisoformat(manifest["uploaded_at"]), now)
    assert _is_integer(manifest["conversation_count"], 1_000_000)
    assert manifest.get("total_size_bytes") is None or _is_integer(manifest["total_size_bytes"], 100_000_000_000)
    assert re.fullmatch(r"\d+\.\d+", manifest.get("version", "1.0"))
    system_type = manifest.get("system_type")
    assert system_type is None or (isinstance(system_type, str) and 1 <= len(system_type) <= 50)
    checksum = manifest.get("checksum")
    assert checksum is None or re.fullmatch(r"[a-f0-9]{64}", checksum)
    compressed, compression_format = manifest.get("compressed", False), manifest.get("compression_format")
    assert isinstance(compressed, bool)
    assert (compression_format in _FORMATS) if compressed else compression_format is None
    files = manifest.get("files", [])
    assert isinstance(files, list)
    for name in files:
        _check_file(name)
    assert isinstance(manifest.get("metadata", {}), dict)


def _check_time(uploaded_at: dt.datetime, now: dt.datetime) -> None:
    assert uploaded_at.tzinfo is not None, "a naive time is a poison pill: it hides every upload of the system"
    assert now - dt.timedelta(days=365) <= uploaded_at <= now + dt.timedelta(minutes=5)


def _is_integer(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _check_file(name: object) -> None:
    assert isinstance(name, str)
    assert _BARE_NAME.match(name)
    assert ".." not in name
    assert "/" not in name
    assert len(name) <= 255


def is_system_id(text: str) -> bool:
    """Whether Akosha accepts a system id."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text) is not None


def is_upload_id(text: str) -> bool:
    """Whether Akosha accepts an upload id."""
    return re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", text) is not None and ".." not in text
