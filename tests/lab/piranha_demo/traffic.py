# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's requests while the demo does its worst; tests/cluster/traffic.py makes them.

That program runs on the client machine and tells of each request as it ends, so nothing is lost
when it is stopped.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from tests.cluster.traffic import LIMIT, Request, Summary, summary

from .machines import Lab
from .programs import DemoError, Programs

SETTLE = LIMIT + 0.3
"""Seconds after which every request begun before has been answered or has failed."""


class Traffic:
    """Requests from `client` to `url`, one every 50 ms, from begin() to end()."""

    def __init__(self, lab: Lab, programs: Programs, client: str, url: str) -> None:
        self._lab, self._programs = lab, programs
        self._client, self._url = client, url
        self._requests: list[Request] = []
        self._odd: list[str] = []

    def begin(self) -> None:
        """Start asking, and come back when the first answer or failure is there."""
        program = Path(self._lab.root, "tests/cluster/traffic.py").read_text(encoding="utf-8")
        argv = [self._lab.command, "run", self._client, "--", "python3", "-", self._url]
        self._process = self._programs.start([*argv, "--follow"], piped=True)
        if self._process.stdin is not None:
            self._process.stdin.write(program)
            self._process.stdin.close()
        threading.Thread(target=self._read, daemon=True).start()
        begin = time.monotonic()
        while not self._requests:
            if self._process.poll() is not None or time.monotonic() - begin > 20:
                raise DemoError(
                    f"the client asks for nothing: {' '.join(self._odd[-3:]) or 'no output'}"
                )
            time.sleep(0.05)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            try:
                self._requests.append(Request(**json.loads(line)))
            except (ValueError, TypeError):
                self._odd.append(line.strip())

    def end(self) -> None:
        """Stop asking; every request begun before this call has its result afterwards."""
        self._until = time.time()
        time.sleep(SETTLE)
        if self._process.poll() is not None:
            raise DemoError(f"the client stopped asking too early: {' '.join(self._odd[-3:])}")
        self._programs.stop(self._process)

    def between(self, after: float, before: float | None = None) -> Summary:
        """Sum up the requests begun in a span of time (seconds since the epoch)."""
        return summary(list(self._requests), after, self._until if before is None else before)

    def answered_by(self, server: str, since: float) -> bool:
        """Tell whether a server has answered a request begun since then."""
        return any(r.server == server and r.start >= since for r in list(self._requests))
