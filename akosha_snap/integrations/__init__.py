"""Where others call us: Session-Buddy, an MCP server, Claude Code. Each module needs only its own partner."""

from __future__ import annotations

__all__: list[str] = []
