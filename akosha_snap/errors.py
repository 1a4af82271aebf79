"""Every error this package raises on purpose, each with its exit code.

An error says what failed and where (its message) and what to do next (its `hint`).
The exit codes are a published contract: see docs/exit-codes.md.
"""

from __future__ import annotations

__all__ = [
    "AkoshaError",
    "AkoshaSnapError",
    "BusyError",
    "CapabilityError",
    "ConfigError",
    "ConflictError",
    "CredentialsError",
    "DamageError",
    "NewerFormatError",
    "NothingThereError",
    "ObjectExists",
    "ObjectNotFound",
    "PartialError",
    "SourceError",
    "StaleError",
    "StoreError",
    "StoreNotCreated",
    "StoreNotFound",
    "TransientAkoshaError",
    "TransientStoreError",
    "UnsupportedStorage",
]


class AkoshaSnapError(Exception):
    """The job failed. Base of every error raised on purpose; exit code 1."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    @classmethod
    def named(cls, kind: str) -> type[AkoshaSnapError]:
        """The class of this module with the name `kind`, this one where it has none: an error from another process."""
        found = globals().get(kind)
        return found if isinstance(found, type) and issubclass(found, AkoshaSnapError) else cls


class ConfigError(AkoshaSnapError):
    """An argument, setting or URL that cannot be right."""

    exit_code = 2


class SourceError(AkoshaSnapError):
    """A local file that cannot be read as it should."""


class UnsupportedStorage(SourceError):
    """The installed DuckDB is too old to open this file."""


class DamageError(AkoshaSnapError):
    """Bytes that are not what they claim to be. In a store, unless the hint says otherwise."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "run `akosha-snap repair --dry-run` to see what is lost") -> None:
        super().__init__(message, hint=hint)


class NewerFormatError(AkoshaSnapError):
    """Written by a later akosha-snap than this one: newer, never corrupt."""


class NothingThereError(AkoshaSnapError):
    """What was asked for does not exist: no snapshot, no store, nothing to push."""

    exit_code = 10


class PartialError(AkoshaSnapError):
    """A part of the job was done, and a part was not."""

    exit_code = 3


class StaleError(AkoshaSnapError):
    """It worked, but longer ago than was asked for."""


class BusyError(AkoshaSnapError):
    """Somebody else is at work on the same thing; trying again later helps."""

    exit_code = 11


class ConflictError(AkoshaSnapError):
    """Something else already stands where this was to go."""

    exit_code = 11


class StoreError(AkoshaSnapError):
    """The store answered with an error that trying again will not mend."""


class TransientStoreError(StoreError):
    """The store could not answer now: a timeout, a lost connection, 429 or 5xx. Worth a retry.

    `retry_after` is the server's own wish, in seconds, where it gave one.
    """

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ObjectNotFound(StoreError):
    """No object under this key."""

    exit_code = 10


class ObjectExists(StoreError):
    """A conditional create found an object already there."""

    exit_code = 11


class StoreNotFound(StoreError):
    """The bucket or folder itself does not exist."""

    exit_code = 10


class StoreNotCreated(StoreNotFound):
    """The folder does not exist yet; the first push creates it."""


class CredentialsError(StoreError):
    """The store refuses these credentials, or none were found."""

    exit_code = 12


class CapabilityError(StoreError):
    """The store lacks something this job needs (conditional create, for one)."""

    exit_code = 13


class AkoshaError(AkoshaSnapError):
    """An Akosha server answered with an error, or with what is no answer."""


class TransientAkoshaError(AkoshaError):
    """The Akosha server could not be reached, or could not answer now. Worth a retry.

    `retry_after` is the server's own wish, in seconds, where it gave one.
    """

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
