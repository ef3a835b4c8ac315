# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends files of a megabyte to a web server that takes PUT, and fetches them again, with DF set.

    transfer.py ADDRESS PORT [--files N] [--json]

What is sent is random, so that no two are alike; how it came is for others to see (their SHA-256
is printed). What is fetched is compared here: a file is behind one of several real servers, so it
is asked for until one has it. Packets may not be cut up on the way: a path whose MTU is smaller
than it says, and does not tell, makes this fail. Standard library only; it changes nothing here.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import secrets
import socket
import sys

SIZE = 1024 * 1024
LIMIT = 20.0
TRIES = 8
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2
OK = 200


class Connection(http.client.HTTPConnection):
    """A connection whose packets are never cut up."""

    def connect(self) -> None:
        """Connect with DF set from the first packet on."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        if family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
        self.sock.connect((self.host, self.port))


def ask(address: str, port: int, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    """Make one request on a connection of its own."""
    connection = Connection(address, port)
    try:
        connection.request(method, path, body, {"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def move(address: str, port: int, name: str) -> str:
    """Send one file and fetch it; give its SHA-256. RuntimeError where either fails."""
    content = secrets.token_bytes(SIZE)
    status, _unused = ask(address, port, "PUT", f"/upload/{name}", content)
    if status // 100 != 2:
        raise RuntimeError(f"PUT {name}: status {status}")
    for _unused in range(TRIES):
        status, found = ask(address, port, "GET", f"/upload/{name}", None)
        if status == OK:
            if found != content:
                raise RuntimeError(f"GET {name}: {len(found)} bytes, and not those that were sent")
            return hashlib.sha256(content).hexdigest()
    raise RuntimeError(f"GET {name}: status {status}, {TRIES} times")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Move files of a megabyte with DF set.")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    try:
        sent = [
            move(options.address, options.port, f"{os.getpid()}-{secrets.token_hex(4)}")
            for _unused in range(options.files)
        ]
    except (OSError, RuntimeError, http.client.HTTPException) as problem:
        print(f"transfer: {options.address}:{options.port}: {problem}", file=sys.stderr)
        return 1
    print(json.dumps({"sent": sent}) if options.json else "\n".join(sent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
