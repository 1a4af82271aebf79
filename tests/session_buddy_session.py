"""One session in the real Session-Buddy, run as a script: stores memories, ends, and prints what it stored, as JSON.

`python session_buddy_session.py NAME COUNT`, with HOME where its databases are to be. The database
stays open to the end of the process, and beyond the end of the session, as in its server.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any


async def session(name: str, count: int) -> dict[str, Any]:
    import akosha_snap.integrations.session_buddy as ours

    ours.install()
    from session_buddy.adapters.reflection_adapter_oneiric import ReflectionDatabaseAdapterOneiric
    from session_buddy.di import configure
    from session_buddy.mcp.tools.session.session_tools import _end_impl

    configure()
    database: Any = ReflectionDatabaseAdapterOneiric()
    await database.initialize()
    texts = [f"{name} conversation {number}" for number in range(count)]
    for text in texts:
        await database.store_conversation(text, {"project": name})
    await database.store_reflection(f"{name} reflection", [name])
    said = await _end_impl(str(Path.cwd()))
    assert "Session ended successfully" in said, said
    (sync,) = [task for task in asyncio.all_tasks() if task.get_name() == "akosha_sync_upload"]
    await sync
    in_the_log = Path(f"{database.db_path}.wal").stat().st_size  # never opened: that would drop the lock
    in_the_file = Path(database.db_path).stat().st_size
    # As a longer session has done, or one that is shut down well. With all of it still in the log the next session
    # could not replay it (DuckDB 1.5.6 and 2.0.1), would take it for a stale one, and delete it.
    database.conn.execute("FORCE CHECKPOINT")
    return {
        "texts": [*texts, f"{name} reflection"],
        "path": database.db_path,
        "in_the_log": in_the_log,
        "in_the_file": in_the_file,
    }


if __name__ == "__main__":
    printed = sys.stdout
    sys.stdout = sys.stderr  # Session-Buddy prints
    result = asyncio.run(session(sys.argv[1], int(sys.argv[2])))
    print(json.dumps(result), file=printed, flush=True)
