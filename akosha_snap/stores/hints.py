"""What to do next about an object that is there, or is not, in whatever store."""

from __future__ import annotations

__all__ = ["EXISTS", "MISSING", "NO_RIGHT_TO_DELETE", "UPLOAD_GONE"]

EXISTS = "another push made it first, or an earlier try of this one: run it again"
MISSING = "check the store's URL, then run `akosha-snap verify all` to see what is missing"
NO_RIGHT_TO_DELETE = (
    "only prune deletes, and needs a key that may (s3:DeleteObject, docs/iam): give it one, or run it elsewhere"
)
UPLOAD_GONE = "the server, or somebody, dropped the upload: run it again"
