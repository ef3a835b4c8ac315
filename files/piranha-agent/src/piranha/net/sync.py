# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the kernel's IPVS connections, and gives it some, by its own backup sync daemon.

That daemon is the only door the kernel has for a connection. Where none runs we start one on `lo`
and stop it after use: what is said to it by multicast on `lo` does not leave this machine, needs no
interface and no module of its own, and passes where a firewall lets a machine talk to itself. Since
the daemon believes every program on this machine, it must not stay. Where an operator runs one
(directive `syncdaemon`) we speak to that, with a time to live of 0, and leave it as it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.port import NetlinkPort
from piranha.core.ipvs.settings import HIGHEST_SYNC_ID, Daemon, Role, StartDaemon, StopDaemon

from .connections import Connection, sync_message

LISTED = Path("/proc/net/ip_vs_conn")
_QUEUES = {socket.AF_INET: Path("/proc/net/udp"), socket.AF_INET6: Path("/proc/net/udp6")}
LOOPBACK = "lo"
_PIECE = 1 << 16
_ANSWER = 1.0
"""Seconds to wait for the kernel, which answers at once; starting a daemon takes milliseconds."""


class SyncError(Exception):
    """Connections cannot be given to the kernel; the text says why, in one sentence."""


def read(
    keep: Callable[[bytes], Connection | None], until: float, most: int
) -> tuple[list[Connection], bool]:
    """Read the kernel's connections; gives those that `keep` makes of the lines, and if it is all.

    until: of time.monotonic(); at most some milliseconds are added. The kernel gives 4 KiB at a
    time and begins at the front of its table for each, so a huge table may take too long.
    Raises OSError.
    """
    found: list[Connection] = []
    rest = b""
    with LISTED.open("rb", buffering=0) as source:
        while True:
            piece = source.read(_PIECE)
            if not piece:
                return found, True
            *lines, rest = (rest + piece).split(b"\n")
            found += [made for line in lines if (made := keep(line)) is not None]
            if len(found) >= most or time.monotonic() >= until:
                return found[:most], False


class Backup:
    """The kernel's backup sync daemon, while we have connections for it."""

    def __init__(self) -> None:
        self._port = NetlinkPort(_ANSWER)
        self._daemon: Daemon | None = None
        self._ours = False
        self._socket: socket.socket | None = None

    @property
    def open(self) -> bool:
        """Whether there is a daemon that `give` can speak to."""
        return self._socket is not None

    def start(self) -> None:
        """Find the daemon or start one. Raises SyncError."""
        if self._socket is not None:
            return
        try:
            self._daemon = self._running() or self._started()
            self._socket = _speaker(self._daemon)
        except (OSError, ValueError, IpvsError) as problem:
            self.stop()
            raise SyncError(_reason(problem)) from None

    def give(self, connections: Iterable[Connection]) -> None:
        """Send connections to the daemon. Raises SyncError."""
        if self._socket is None or self._daemon is None:
            raise SyncError("no sync daemon runs")
        try:
            self._socket.send(sync_message(self._daemon.syncid, connections))
        except OSError as problem:
            raise SyncError(_reason(problem)) from None

    def taken(self) -> bool:
        """Whether the daemon has fetched everything that was given."""
        if self._socket is None or self._daemon is None:
            return True
        return not _waiting(self._socket.family, self._daemon.port)

    def stop(self) -> None:
        """Close what we have opened; stop the daemon if it is ours."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._ours:
            self._ours = False
            with contextlib.suppress(OSError, ValueError, IpvsError):
                self._command(StopDaemon(Role.BACKUP))
        self._port.close()

    def clear(self) -> None:
        """Stop what an earlier life of ours has left, a daemon on `lo`; nobody else has one."""
        with contextlib.suppress(OSError, ValueError, IpvsError):
            running = self._running()
            if running is not None and running.interface == LOOPBACK:
                self._command(StopDaemon(Role.BACKUP))
        self._port.close()

    def rehearse(self) -> None:
        """Ask what `start` asks first, so that all it needs is in memory; changes nothing."""
        with contextlib.suppress(OSError, ValueError, IpvsError):
            self._running()
        self._port.close()

    def _started(self) -> Daemon:
        """Start a daemon of our own; where another one came first, that is as good."""
        made = _our_daemon()
        try:
            self._command(StartDaemon(made))
        except OSError as problem:
            running = self._running() if problem.errno == errno.EEXIST else None
            if running is None:
                raise
            return running
        self._ours = True
        return made

    def _running(self) -> Daemon | None:
        return next((one for one in self._port.daemons() if one.role is Role.BACKUP), None)

    def _command(self, command: StartDaemon | StopDaemon) -> None:
        (number,) = self._port.send([command])
        if number:
            raise OSError(number, os.strerror(number))


def _our_daemon() -> Daemon:
    # An id that a stray message does not have; 0 would take those of every id.
    return Daemon(Role.BACKUP, LOOPBACK, syncid=random.randint(1, HIGHEST_SYNC_ID))  # noqa: S311


def _speaker(daemon: Daemon) -> socket.socket:
    """Give a socket that reaches the daemon, and nobody beyond this machine."""
    index = socket.if_nametoindex(daemon.interface)
    family = socket.AF_INET6 if ":" in daemon.group else socket.AF_INET
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    made = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 0)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        else:
            device = struct.pack("=4s4si", bytes(4), bytes(4), index)  # linux/in.h ip_mreqn
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, device)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        made.connect((daemon.group, daemon.port))
    except OSError:
        made.close()
        raise
    return made


def _waiting(family: int, port: int) -> bool:
    """Whether bytes wait in a socket on this port, as /proc tells of every socket."""
    end = b":%04X" % port
    try:
        lines = _QUEUES[socket.AddressFamily(family)].read_bytes().splitlines()
    except OSError:
        return False
    for line in lines[1:]:
        columns = line.split()
        if columns[1].endswith(end) and columns[4].partition(b":")[2].strip(b"0"):
            return True
    return False


def _reason(problem: Exception) -> str:
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return f"the kernel's sync daemon does not take them ({text.removesuffix('.')})"
