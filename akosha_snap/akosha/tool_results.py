"""What a tool answered: the object in a result of tools/call."""

from __future__ import annotations

from typing import Any

import msgspec

from akosha_snap.errors import AkoshaError

__all__ = ["tool_result"]


def tool_result(name: str, result: Any) -> dict[str, Any]:
    """The structured content of a result, or the JSON in its text. Raises AkoshaError for isError, or for neither."""
    if not isinstance(result, dict):
        raise AkoshaError(f"Akosha's tool {name} answered nonsense")
    text = _text(result.get("content"))
    if result.get("isError"):
        raise AkoshaError(f"Akosha's tool {name} failed: {' '.join(text.split()) or 'it does not say why'}")
    structured = result.get("structuredContent")
    if not isinstance(structured, dict):
        try:
            structured = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            structured = None
    if isinstance(structured, dict) and set(structured) == {"result"} and isinstance(structured["result"], dict):
        structured = structured["result"]  # fastmcp wraps what it cannot describe
    if not isinstance(structured, dict):
        raise AkoshaError(f"Akosha's tool {name} answered nonsense: {' '.join(text.split())[:100]!r}")
    return structured


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
