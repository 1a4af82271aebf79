"""A generator of assistants' memories, run in whichever interpreter has the DuckDB that is wanted.

Needs DuckDB and numpy only, so that it runs in an environment made for one version of DuckDB.
"""
