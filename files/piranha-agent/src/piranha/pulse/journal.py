# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pulse tells the system: log lines on stderr for the journal, and sd_notify messages.

Neither may ever hold pulse up: a journal that does not read loses lines, not a router.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Mapping

from piranha.control.protocol import LEVELS

LINE = 2048
"""Bytes of one log line. A pipe that polls as writable takes PIPE_BUF (4096) without blocking."""


class Log:
    """Writes lines to a file descriptor, with `<N>` in front where the journal reads them.

    plain: for a terminal, time and words instead of numbers; None: where descriptor is a terminal.
    """

    def __init__(self, descriptor: int = 2, plain: bool | None = None) -> None:
        self._fd = descriptor
        self._plain = os.isatty(descriptor) if plain is None else plain
        self.dropped = 0

    def write(self, level: str, text: str) -> None:
        """Write one line; drops and counts it where it would block."""
        flat = " ".join(text.split())
        if self._plain:
            clock = time.strftime("%H:%M:%S")
            line = f"{clock} {flat}" if level == "info" else f"{clock} {level}: {flat}"
        else:
            line = f"<{LEVELS.get(level, LEVELS['info'])}>{flat}"
        data = line.encode("utf-8", "replace")[:LINE] + b"\n"
        try:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            if not any(state & select.POLLOUT for _unused, state in poll.poll(0)):
                self.dropped += 1
                return
            os.write(self._fd, data)
        except OSError:
            self.dropped += 1


class Notify:
    """Speaks systemd's notification protocol (sd_notify(3)); does nothing without a manager."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(environment)
        """Seconds within which the manager wants to hear from us, or None."""

    def send(self, **fields: str | int) -> None:
        """Send assignments, such as READY=1."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        text = "\n".join(f"{key}={value}" for key, value in fields.items())
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)
            sock.sendto(text.encode(), address)

    def reloading(self) -> None:
        """Say that a reload begins; READY=1 ends it."""
        self.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    value = environment.get("WATCHDOG_USEC", "")
    return int(value) / 1_000_000 if value.isdigit() and int(value) > 0 else None


def say(text: str) -> None:
    """Tell whoever started us one sentence, on stderr."""
    print(text, file=sys.stderr, flush=True)
