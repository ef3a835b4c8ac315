# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An FTP server that knows passive downloads and no more: `ftp_server.py PORT`.

It gives one file, its machine's name, whatever is asked for, and tells clients to fetch it at its
own address and a port of the kernel's choice, as any server behind NAT does: a router that forwards
FTP has to write its own address over it. Standard library only; for the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

LIMIT = 20.0
ANSWERS = {
    "USER": "331 any password",
    "PASS": "230 welcome",
    "TYPE": "200 as you like",
    "QUIT": "221 goodbye",
}


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client."""
    address = writer.get_extra_info("sockname")[0]
    content = f"{socket.gethostname()}\n".encode()
    door: asyncio.Server | None = None
    fetched = asyncio.Event()

    def say(line: str) -> None:
        writer.write(f"{line}\r\n".encode())

    async def give(_unused: asyncio.StreamReader, data: asyncio.StreamWriter) -> None:
        data.write(content)
        data.close()
        await data.wait_closed()
        fetched.set()

    say("220 ready")
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        while line := (await asyncio.wait_for(reader.readline(), LIMIT)).decode().strip():
            command = line.split()[0].upper()
            if command == "PASV":
                door = await asyncio.start_server(give, address, 0)
                port = door.sockets[0].getsockname()[1]
                place = ",".join([*address.split("."), str(port >> 8), str(port & 255)])
                say(f"227 Entering Passive Mode ({place})")
            elif command == "RETR" and door is not None:
                say("150 here it comes")
                await asyncio.wait_for(fetched.wait(), LIMIT)
                say("226 that was it")
            else:
                say(ANSWERS.get(command, "502 not here"))
            if command == "QUIT":
                break
    if door is not None:
        door.close()
    writer.close()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(converse, "0.0.0.0", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
