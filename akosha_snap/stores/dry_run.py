"""A store decorator that reads for real and only pretends to write."""

from __future__ import annotations

from akosha_snap.stores.base import Buffer
from akosha_snap.stores.keys import check_key
from akosha_snap.stores.layer import Layer

__all__ = ["DryRunStore"]


class DryRunStore(Layer):
    """Reads go to the inner store; writes and deletes succeed without a request.

    A conditional create always succeeds, and nothing "written" can be read back. Put it
    inside a CountingStore to learn what the writes would have cost.
    """

    def put(self, key: str, data: Buffer, *, if_absent: bool = False) -> None:  # noqa: ARG002
        """Store nothing."""
        check_key(key)

    def start_multipart(self, key: str) -> str:
        """Open no upload."""
        check_key(key)
        return "dry-run"

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:  # noqa: ARG002
        """Store nothing."""
        return f"dry-run-{number}"

    def finish_multipart(self, key: str, upload: str, tags: list[str]) -> None:
        """Join nothing."""

    def abort_multipart(self, key: str, upload: str) -> None:
        """Drop nothing."""

    def delete(self, key: str) -> None:
        """Delete nothing."""
        check_key(key)

    def sweep(self, prefix: str) -> None:
        """Remove nothing."""
