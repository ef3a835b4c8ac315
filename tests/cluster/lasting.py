# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that last, a new one every so often: `lasting.py ADDRESS PORT EVERY ASK`.

Over each it asks every ASK seconds and waits for the answer. SIGUSR1: no new ones from now on;
TERM: tell as JSON what became of each (`begun`, `answers`: times on the monotonic clock; `lost`:
why, else null) and end. It judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

CONNECT = 5.0
"""Seconds that it may take until a connection is there."""
ASKED = b"GET /stay HTTP/1.1\r\nHost: stay\r\n\r\n"


async def last(address: str, port: int, ask: float, told: list[dict[str, Any]]) -> None:
    """Keep one connection until it is lost."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), CONNECT)
    except (OSError, TimeoutError):
        return  # it never was
    one: dict[str, Any] = {"begun": time.monotonic(), "answers": [], "lost": None}
    told.append(one)
    try:
        while True:
            writer.write(ASKED)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            one["answers"].append(time.monotonic())
            await asyncio.sleep(ask)
    except OSError as problem:
        one["lost"] = os.strerror(problem.errno) if problem.errno else type(problem).__name__
    except (EOFError, asyncio.IncompleteReadError):
        one["lost"] = "closed by the server"


async def main() -> None:
    """Open connections until told not to, and keep them until told to end."""
    address, port, every, ask = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:5])
    enough, end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, enough.set)
    loop.add_signal_handler(signal.SIGTERM, end.set)
    told: list[dict[str, Any]] = []
    tasks = set()
    print("at work", flush=True)
    while not (enough.is_set() or end.is_set()):
        tasks.add(asyncio.create_task(last(address, port, ask, told)))
        await asyncio.sleep(every)
    await end.wait()
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main())
