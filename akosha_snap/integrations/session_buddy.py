"""Session-Buddy's end hook, made to work: our way of syncing in place of its own two.

One line, in the process that runs Session-Buddy, before the first session ends:

    akosha_snap.integrations.session_buddy.install()

or no line at all: `python -m akosha_snap.integrations.session_buddy start` is `session-buddy start`
with that line in front.

Its own ways are taken out, not kept behind ours (`keep=True` does): the cloud one opens the database
file in the process that owns it, which drops DuckDB's lock, and writes a manifest that Akosha refuses;
the HTTP one calls an address that does not exist and reports success (seen with 0.23.0 and 0.36.0).
"""

from __future__ import annotations

from typing import Any, Literal, Unpack

from akosha_snap.config import Given, Method, Settings, checked_given, load_settings
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.sync.availability import http_available
from akosha_snap.sync.host_settings import host_settings
from akosha_snap.sync.hybrid import HybridAkoshaSync
from akosha_snap.sync.wire import SESSION_END

__all__ = ["SnapSyncMethod", "install", "uninstall"]


class SnapSyncMethod:
    """A sync method as `session_buddy.storage.sync_protocol.SyncMethod` describes it.

    With `auto` it is both ways in one: the store, and HTTP where that fails, in one child
    process; `cloud` and `http` are that way alone. `config` is Session-Buddy's settings or
    AkoshaSyncConfig; `given` is as in HybridAkoshaSync, and raises the same.
    """

    def __init__(self, config: object = None, method: Method = "auto", **given: Unpack[Given]) -> None:
        self._config = config
        self._method = method
        self._given = checked_given(given)
        self._sync = HybridAkoshaSync(config, **given)

    async def sync(
        self,
        upload_reflections: bool = True,
        upload_knowledge_graph: bool = True,
        **kwargs: Any,  # noqa: ARG002  # the protocol's
    ) -> dict[str, Any]:
        """Sync in a child process; the result has `files_uploaded`, `bytes_transferred` and all of SyncResult.

        Raises Session-Buddy's CloudUploadError or HTTPSyncError.
        """
        try:
            return await self._sync.sync_memories(
                self._method, upload_reflections, upload_knowledge_graph, triggered_by=SESSION_END
            )
        except AkoshaSnapError as error:
            from session_buddy.storage.sync_protocol import CloudUploadError, HTTPSyncError

            way = self._way()
            kind = CloudUploadError if way == "cloud" else HTTPSyncError
            raise kind(str(error), method=way, original=error) from error

    def is_available(self) -> bool:
        """Whether `sync` should be tried; answered within a second, never raises.

        `auto` always should: it finds out by itself, and where there is nothing to sync to
        `akosha-snap status` then says so. Of the others, `cloud` where a store is configured, `http`
        where Akosha answers and the settings leave that way open. True for settings that are invalid,
        too: `sync` then says what is wrong with them.
        """
        if self._method == "auto":
            return True
        try:
            settings = self._settings()
        except AkoshaSnapError:
            return True
        if self._method == "cloud":
            return settings.store is not None
        is_open = settings.force_method != "cloud" and (settings.store is None or settings.enable_fallback)
        return is_open and http_available(settings)

    def get_method_name(self) -> Method:
        """The name by which Session-Buddy's `sync_memories(force_method=...)` finds this method."""
        return self._method

    def _way(self) -> Literal["cloud", "http"]:
        """The way that an error is one of: `auto` is `http` where that is all there is."""
        if self._method != "auto":
            return self._method
        try:
            settings = self._settings()
        except AkoshaSnapError:
            return "cloud"
        return "http" if settings.force_method == "http" or settings.store is None else "cloud"

    def _settings(self) -> Settings:
        return load_settings(host=host_settings(self._config).given, **self._given)


class _ByName(SnapSyncMethod):
    """For whoever asks for it by name; where all are tried one after the other, `auto` was before it."""

    def is_available(self) -> bool:
        """It is not one more to try."""
        return False


def install(hybrid: Any = None, *, keep: bool = False, **given: Unpack[Given]) -> None:
    """Put our methods first in `hybrid.methods`, or in those of every HybridAkoshaSync made from now on.

    `keep` leaves Session-Buddy's own behind them. May be called again. Raises ConfigError for
    settings in `given` that are none.
    """
    given = checked_given(given)
    if hybrid is not None:
        _put_first(hybrid, keep, given)
        return
    from session_buddy.storage.akosha_sync import HybridAkoshaSync as Theirs

    uninstall()
    original = Theirs.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        _put_first(self, keep, given)

    __init__.akosha_snap_original = original  # type: ignore[attr-defined]
    Theirs.__init__ = __init__


def uninstall() -> None:
    """Undo `install` for those made from now on."""
    from session_buddy.storage.akosha_sync import HybridAkoshaSync as Theirs

    Theirs.__init__ = getattr(Theirs.__init__, "akosha_snap_original", Theirs.__init__)


def _put_first(hybrid: Any, keep: bool, given: Given) -> None:
    config = getattr(hybrid, "config", None)
    theirs = [method for method in hybrid.methods if not isinstance(method, SnapSyncMethod)]
    ours = [SnapSyncMethod(config, **given), _ByName(config, "cloud", **given), _ByName(config, "http", **given)]
    hybrid.methods[:] = [*ours, *(theirs if keep else [])]


if __name__ == "__main__":
    import runpy

    install()
    runpy.run_module("session_buddy", run_name="__main__", alter_sys=True)
