"""What to do next about an object that is there, or is not, in whatever store."""

from __future__ import annotations

__all__ = ["EXISTS", "MISSING", "UPLOAD_GONE"]

EXISTS = "another push made it first, or an earlier try of this one: run it again"
MISSING = "check the store's URL, then run `akosha-snap verify all` to see what is missing"
UPLOAD_GONE = "the server, or somebody, dropped the upload: run it again"
