"""What each HTTP status of an MCP server means."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from akosha_snap.errors import AkoshaError, CredentialsError, TransientAkoshaError

if TYPE_CHECKING:
    import httpx

__all__ = ["CHECK_URL", "RequestTooLarge", "SessionLost", "check_status", "refusal"]

CHECK_URL = "check AKOSHA_URL; Akosha's own server is at http://localhost:8682/mcp"
"""The hint where something other than Akosha answers."""


class SessionLost(TransientAkoshaError):
    """The server no longer knows the session: it was restarted, or has dropped it."""


class RequestTooLarge(AkoshaError):
    """The request's body is larger than the server, or something before it, takes (413)."""


def refusal(shown: str, what: str, *, hint: str = "") -> AkoshaError:
    """The error of an answer that trying again will not mend."""
    return AkoshaError(f"{shown} {what}", hint=hint)


def check_status(response: httpx.Response, said: str, *, shown: str, in_session: bool, has_token: bool) -> None:
    """Raise what an answer other than 2xx means; `said` is its text, fit for messages."""
    status = response.status_code
    html = said[:1] == "<" or "html" in response.headers.get("content-type", "")
    detail = f": {said[:200]}" if said and not html else ""
    if status in {401, 403}:
        raise CredentialsError(
            f"{shown} refuses {'the token' if has_token else 'a call without a token'} ({status})",
            hint="check AKOSHA_API_TOKEN",
        )
    if in_session and (status == 404 or (status == 400 and "session" in said.lower())):
        raise SessionLost(f"{shown} lost the session ({status})", hint="check that Akosha keeps running")
    if status == 413:
        raise RequestTooLarge(f"{shown} takes no request of this size (413)")
    if status == 429 or status >= 500:
        raise TransientAkoshaError(
            f"{shown} cannot answer now ({status}){detail}",
            hint="check Akosha's log",
            retry_after=_retry_after(response.headers.get("retry-after", "")),
        )
    if status == 404 or html:
        raise refusal(shown, f"has no MCP server there ({status}{', a web page' if html else ''})", hint=CHECK_URL)
    raise refusal(shown, f"refused the request ({status}){detail}", hint=CHECK_URL)


def _retry_after(header: str) -> float | None:
    """Seconds to wait (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), None where it does not say."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
