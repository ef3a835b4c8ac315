# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of real servers in one small process: every address that leads here is one.

`python -m tests.bench.crowd {connect,http,deaf} PORT`

connect: takes a connection and waits for its end. http: answers a request. deaf: lets its queue
run full and answers nothing from then on, not even the first packet. Says "ready", and for each
line on its input what the longest and the usual distance was between two connections to the same
address since the line before. It ends, and its ports refuse, when its input ends or it is killed.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes"
AT_ONCE = 64
QUEUE = 4096


class Crowd:
    """The servers behind one port."""

    def __init__(self, kind: str, port: int) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for each check under way
        self._http = kind == "http"
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", port))
        self._listener.listen(0 if kind == "deaf" else QUEUE)
        self._listener.setblocking(False)
        self._open: dict[int, socket.socket] = {}
        self._epoll = select.epoll()
        self._last: dict[str, float] = {}
        self._gaps: list[float] = []
        self._epoll.register(0, select.EPOLLIN)
        if kind != "deaf":
            self._epoll.register(self._listener.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Serve until the input ends."""
        print("ready", flush=True)
        while True:
            for descriptor, _events in self._epoll.poll():
                if descriptor == 0:
                    if not os.read(0, 4096):
                        return
                    print(json.dumps(self.gaps()), flush=True)
                elif descriptor == self._listener.fileno():
                    self._take()
                else:
                    self._serve(descriptor)

    def gaps(self) -> dict[str, float]:
        """Give count, median and longest of the distances seen, and forget them."""
        seen, self._gaps = sorted(self._gaps), []
        # Who has not come for long is late although nothing has been measured yet.
        now = time.monotonic()
        waiting = max((now - at for at in self._last.values()), default=0.0)
        if not seen:
            return {"count": 0, "usual": 0.0, "longest": waiting}
        return {
            "count": len(seen),
            "usual": seen[len(seen) // 2],
            "longest": max(seen[-1], waiting),
        }

    def _take(self) -> None:
        for _each in range(AT_ONCE):
            try:
                sock, _peer = self._listener.accept()
            except BlockingIOError:
                return
            now = time.monotonic()
            try:
                address = sock.getsockname()[0]
            except OSError:
                continue
            before = self._last.get(address)
            if before is not None:
                self._gaps.append(now - before)
            self._last[address] = now
            self._open[sock.fileno()] = sock
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _serve(self, descriptor: int) -> None:
        sock = self._open.pop(descriptor)
        try:
            if sock.recv(4096) and self._http:
                sock.send(ANSWER)
        except OSError:
            pass
        sock.close()


if __name__ == "__main__":
    Crowd(sys.argv[1], int(sys.argv[2])).run()
