"""Which keys are fit for every store: a folder, S3, and servers in between that tidy paths."""

from __future__ import annotations

from akosha_snap.atomic import TEMPORARY_PREFIX

__all__ = ["check_key", "check_prefix", "check_range", "is_key"]


def is_key(key: str) -> bool:
    """Whether `key` is a relative POSIX path of printable components, or such a path and a `/` (a marker)."""
    return all(map(_is_component, key.removesuffix("/").split("/")))


def check_key(key: str) -> None:
    """Raise ValueError unless `key` is one; the caller built it, so this is a programming error."""
    if not is_key(key):
        raise ValueError(f"not a key a store can hold: {key!r}")


def check_prefix(prefix: str) -> None:
    """Raise ValueError unless some key could start with `prefix` (the empty one is every key's)."""
    folder, _, name = prefix.rpartition("/")
    if ("/" in prefix and not is_key(f"{folder}/")) or not _is_clean(name):
        raise ValueError(f"no key can start with {prefix!r}")


def check_range(start: int, length: int | None) -> None:
    """Raise ValueError for a range that counts backwards."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"not a range: start {start}, length {length}")


def _is_component(name: str) -> bool:
    return (
        name not in {"", ".", ".."}  # SeaweedFS collapses `a//b` to `a/b`; a folder would leave its root
        and _is_clean(name)
        and not name.startswith(TEMPORARY_PREFIX)  # listings leave these out
    )


def _is_clean(text: str) -> bool:
    return text.isprintable() and "\\" not in text
