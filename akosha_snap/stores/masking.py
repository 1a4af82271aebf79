"""Keeping secrets out of messages."""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["masked"]

_USER = re.compile(r"//\S*@")  # up to the last @: masks too much rather than too little
_OPTION = re.compile(r"(?i)([?&](?!endpoint=|region=|addressing=)[^=&\s]*=)[^&\s]*")


def masked(text: str) -> str:
    """`text` with what may be a password in a URL replaced: `user:pass@`, unknown query values."""
    if "@" in unquote(text) and "@" not in text:  # percent-encoded, in an endpoint say
        text = unquote(text)
    return _OPTION.sub(r"\1***", _USER.sub("//***@", text))
