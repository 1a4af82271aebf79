"""DuckDB without its Python layer, which takes 0.1 s to import: a count needs none of it."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["load_duckdb"]


def load_duckdb() -> ModuleType:
    """The module that `duckdb` takes its functions and errors from (seen in 1.4.0 to 2.0.1), else `duckdb` itself."""
    try:
        return importlib.import_module("_duckdb")
    except ImportError:
        return importlib.import_module("duckdb")
