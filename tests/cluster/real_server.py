# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server that answers every request with its name: `real_server.py ADDRESS PORT NAME`.

`/slow` is a download that takes some seconds: its name in many lines, a few at a time; `/slow/3` is
three times as long. After `/stay` the connection stays, and the next request may come.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

SLOW, STAY = b"GET /slow", b"GET /stay"
PIECES, LINES, PAUSE = 80, 50, 0.05
"""What `/slow` sends: so many times so many lines, so many seconds apart."""


async def serve(address: str, port: int, name: str) -> None:
    """Answer until killed."""
    body = f"{name}\n".encode()

    def head(length: int) -> bytes:
        return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            asked = await reader.readuntil(b"\r\n\r\n")
            while asked.startswith(STAY):
                writer.write(head(len(body)) + body)
                await writer.drain()
                asked = await reader.readuntil(b"\r\n\r\n")
            if asked.startswith(SLOW):
                times = int(asked.split()[1].rpartition(b"/")[2].strip(b"slow") or b"1")
                writer.write(head(len(body) * LINES * PIECES * times))
                for _unused in range(PIECES * times):
                    writer.write(body * LINES)
                    await writer.drain()
                    await asyncio.sleep(PAUSE)
            else:
                writer.write(head(len(body)) + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, address, port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
