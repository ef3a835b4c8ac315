# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow downloads, all at once, over a connection each: `downloads.py ADDRESS PORT COUNT [TIMES]`.

It says so when all have begun to arrive, and at the end prints what became of each as JSON: `port`
(ours), `server`, `length` (promised), `bytes` (come), `error` (none where nothing went wrong).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

ASK = "GET /slow/{} HTTP/1.1\r\nHost: slow\r\nConnection: close\r\n\r\n"
LIMIT = 40.0
"""Seconds for one download."""


async def download(address: str, port: int, begun: asyncio.Semaphore) -> dict[str, Any]:
    """Tell of one download, whatever becomes of it."""
    told: dict[str, Any] = {"port": 0, "server": "", "length": -1, "bytes": 0, "error": None}
    try:
        await asyncio.wait_for(fetch(address, port, begun, told), LIMIT)
    except TimeoutError:
        told["error"] = f"not complete within {LIMIT:g} s"
    except OSError as problem:
        told["error"] = os.strerror(problem.errno) if problem.errno else type(problem).__name__
    except EOFError:
        told["error"] = "closed without an answer"
    finally:
        begun.release()  # whoever waits for all must not wait for one that failed
    return told


async def fetch(address: str, port: int, begun: asyncio.Semaphore, told: dict[str, Any]) -> None:
    """Fetch it; what came is counted and looked at, not kept."""
    reader, writer = await asyncio.open_connection(address, port)
    told["port"] = writer.get_extra_info("sockname")[1]
    writer.write(ASK.format(sys.argv[4]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    told["length"] = int(head.lower().partition(b"content-length:")[2].split()[0])
    begun.release()
    names = set()
    while line := await reader.readline():
        names.add(line.decode("ascii", "replace").strip())
        told["bytes"] += len(line)
    told["server"] = "+".join(sorted(names))
    writer.close()


async def main() -> None:
    """Run all of them."""
    sys.argv[4:] = sys.argv[4:] or ["1"]
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    begun = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(download(address, port, begun)) for _unused in range(count)]
    for _unused in range(count):
        await begun.acquire()
    print("all have begun", flush=True)
    print(json.dumps(await asyncio.gather(*tasks)))


if __name__ == "__main__":
    asyncio.run(main())
