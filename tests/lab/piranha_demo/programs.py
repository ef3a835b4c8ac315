# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs programs: with a time limit, line by line, and none survives us.

Every program gets a session of its own, so that Ctrl-C reaches only the demo, which then ends them
in its own order.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

QUIET_FOR = 5.0
"""Seconds without a line after which a sign of life is given."""

GRACE = 5.0
"""Seconds between TERM and KILL."""

TOO_LONG = 124
"""The status of a program that was stopped at its limit, as timeout(1) gives it."""


class DemoError(Exception):
    """Something that ends the demo; the text is one sentence."""


class Interrupted(BaseException):
    """The person, or whoever runs us, wants us to stop."""


class Programs:
    """Starts programs and remembers those that run."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()

    def start(
        self,
        argv: Sequence[str],
        *,
        piped: bool = False,
        env: Mapping[str, str] | None = None,
        errors: int = subprocess.STDOUT,
    ) -> subprocess.Popen[str]:
        """Start a program whose output is read from a pipe; with `piped` its input is one too."""
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._running.add(process)
        return process

    def stop(self, process: subprocess.Popen[str]) -> None:
        """End a program and all it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                process.wait(GRACE)
                break
            except subprocess.TimeoutExpired:
                continue
        self._running.discard(process)

    def stop_all(self) -> None:
        """End every program that still runs."""
        for process in list(self._running):
            self.stop(process)

    def capture(
        self, argv: Sequence[str], *, text: str | None = None, limit: float = 60
    ) -> tuple[int, str]:
        """Run a program to its end; give its status and output. Status 124: it took too long."""
        process = self.start(argv, piped=text is not None, errors=subprocess.PIPE)
        try:
            output, errors = process.communicate(text, timeout=limit)
        except subprocess.TimeoutExpired:
            self.stop(process)
            return TOO_LONG, f"no end after {limit:.0f} s"
        self._running.discard(process)
        return process.returncode, output if process.returncode == 0 else output + errors

    def stream(
        self,
        argv: Sequence[str],
        each: Callable[[str], None],
        *,
        alive: Callable[[float], None],
        limit: float,
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program, hand over its lines as they come, and give its status.

        alive: called with the seconds so far when there was no line for a while.
        """
        process = self.start(argv, env=env)
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            for line in process.stdout or ():
                lines.put(line.rstrip("\n"))
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        begin = time.monotonic()
        while True:
            spent = time.monotonic() - begin
            if spent > limit:
                self.stop(process)
                raise DemoError(
                    f"{argv[0]} was stopped after {limit:.0f} s; it should have ended long before"
                )
            try:
                line = lines.get(timeout=QUIET_FOR)
            except queue.Empty:
                alive(time.monotonic() - begin)
                continue
            if line is None:
                break
            each(line)
        status = process.wait()
        self._running.discard(process)
        return status
