"""The checksum that S3 knows its objects by."""

from __future__ import annotations

import hashlib

from akosha_snap.stores.base import Buffer

__all__ = ["md5_of"]


def md5_of(data: Buffer) -> str:
    """In hex. It tells two objects of ours apart, and protects from nobody."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
