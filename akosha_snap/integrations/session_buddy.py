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

from akosha_snap.config import Given, Method, Settings, load_settings
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.sync.availability import http_available
from akosha_snap.sync.host_settings import host_settings
from akosha_snap.sync.hybrid import HybridAkoshaSync
from akosha_snap.sync.wire import SESSION_END

__all__ = ["SnapSyncMethod", "install", "uninstall"]


class SnapSyncMethod:
    """A sync method as `session_buddy.storage.sync_protocol.SyncMethod` describes it.

    With `auto` it is both ways in one: the store, and HTTP where that fails, in one child
    process. `config` is Session-Buddy's settings or AkoshaSyncConfig; `given` is as in HybridAkoshaSync.
    """

    def __init__(self, config: object = None, method: Method = "auto", **given: Unpack[Given]) -> None:
        self._config = config
        self._method = method
        self._given = given
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

            name = self.get_method_name()
            kind = CloudUploadError if name == "cloud" else HTTPSyncError
            raise kind(str(error), method=name, original=error) from error

    def is_available(self) -> bool:
        """Whether a store is configured or, else, Akosha answers within a second. Never raises.

        True for settings that are invalid, too: `sync` then says what is wrong with them.
        """
        try:
            settings = self._settings()
        except AkoshaSnapError:
            return True
        if self._method == "http" or (settings.store is None and settings.force_method != "cloud"):
            return self._may_use_http(settings) and http_available(settings)
        return settings.store is not None

    def get_method_name(self) -> Literal["cloud", "http"]:
        """`http` where that is all there is, else `cloud`."""
        if self._method != "auto":
            return self._method
        try:
            settings = self._settings()
        except AkoshaSnapError:
            return "cloud"
        return "http" if settings.force_method == "http" or settings.store is None else "cloud"

    def _settings(self) -> Settings:
        return load_settings(host=host_settings(self._config), **self._given)

    def _may_use_http(self, settings: Settings) -> bool:
        """The second of our two methods must not undo what the settings say."""
        return settings.force_method != "cloud" and (settings.store is None or settings.enable_fallback)


def install(hybrid: Any = None, *, keep: bool = False, **given: Unpack[Given]) -> None:
    """Put our methods first in `hybrid.methods`, or in those of every HybridAkoshaSync made from now on.

    `keep` leaves Session-Buddy's own behind them. May be called again.
    """
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
    # the second is for whoever asks for HTTP by name
    ours = [SnapSyncMethod(config, **given), SnapSyncMethod(config, "http", **given)]
    hybrid.methods[:] = [*ours, *(theirs if keep else [])]


if __name__ == "__main__":
    import runpy

    install()
    runpy.run_module("session_buddy", run_name="__main__", alter_sys=True)
