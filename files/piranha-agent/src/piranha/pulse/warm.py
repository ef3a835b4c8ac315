# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forks children that are warm: everything imported, nothing executed, ready in milliseconds.

A fork out of a running event loop is safe here because pulse has no threads, and because the child
first lets go of all that is pulse's: its wakeup descriptor, signal handlers, loop and sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from piranha.control.link import Link

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_NAME = 15
FAILED = 70  # sysexits.h EX_SOFTWARE: our own mistake
CANNOT_RUN = 78  # sysexits.h EX_CONFIG

KILL_WAIT = 0.5
"""Seconds to wait for a killed process to be gone; it can only be late in the kernel."""

STANDARD = 3
"""Descriptors below this (input, output, errors) are kept by a child."""

PRIORITY = 5
"""Real-time priority of pulse: above ordinary programs, below the heart."""

Entry = Callable[[socket.socket], int | None]


@dataclass
class Process:
    """A running child: its process and our end of the link to it."""

    pid: int
    link: Link

    def poll(self) -> int | None:
        """Give the exit status (negative: the signal that ended it) once it has ended, or None."""
        return _reap(self.pid)

    def kill(self) -> None:
        """End it at once, whatever it does, and wait until it has gone."""
        kill(self.pid)


def raise_priority() -> None:
    """Run before ordinary programs, where that is allowed: whoever must resign in time for a heart
    on a busy machine cannot queue behind what keeps the machine busy.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))


def spawn(name: str, entry: Entry, urgent: bool = False) -> Process:
    """Fork; the child runs `entry` with its end of the link and ends with what that gives.

    urgent: it keeps pulse's priority from its first instruction on. OSError where no process can
    be made.
    """
    ours, theirs = socket.socketpair()
    try:
        pid = _fork(name, lambda: _link_entry(name, entry, theirs), theirs.fileno(), urgent)
    except OSError:
        ours.close()
        theirs.close()
        raise
    theirs.close()
    return Process(pid, Link(ours))


def run_apart(name: str, work: Callable[[], object], limit: float) -> str | None:
    """Run `work` in a child of its own and wait; give why it failed, or None.

    For work that must neither hang nor harm pulse. limit: seconds.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        pid = _fork(name, lambda: _plain_entry(work, writer), keep=writer, urgent=True)
        if (status := _wait(pid, limit)) is None:
            kill(pid)
            return f"it did not end within {limit:g} s"
        if status == 0:
            return None
        with contextlib.suppress(BlockingIOError):
            return os.read(reader, select.PIPE_BUF).decode("utf-8", "replace")
        return f"it {describe(status)}"
    finally:
        os.close(reader)
        os.close(writer)


def describe(status: int) -> str:
    """Say in words how a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def kill(pid: int) -> None:
    """Send SIGKILL and reap, waiting a bounded time."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _wait(pid, KILL_WAIT)


def _wait(pid: int, limit: float) -> int | None:
    """Wait for a child to end; gives its exit status, or None when `limit` seconds have passed."""
    if (status := _reap(pid)) is not None:
        return status
    # Asking again and again would take the processor from the very child that is waited for.
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll(int(limit * 1000))
    finally:
        os.close(handle)
    return _reap(pid)


def _reap(pid: int) -> int | None:
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if done else None


def _fork(name: str, work: Callable[[], int], keep: int, urgent: bool) -> int:
    """Fork with all signals held back, so that none is handled by the wrong process."""
    parent = os.getpid()
    # What is pulse's must never be collected in the child: a socket object that dies there would
    # close whatever descriptor has its old number by then.
    gc.freeze()
    every = set(signal.valid_signals())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, every)
    try:
        pid = os.fork()
        if pid == 0:
            _child(name, parent, work, keep, urgent)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _child(name: str, parent: int, work: Callable[[], int], keep: int, urgent: bool) -> NoReturn:
    """Become a process of its own, do the work and end, without ever returning to pulse's code."""
    status = FAILED
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        asyncio.events._set_running_loop(None)
        asyncio.set_event_loop(None)
        if not urgent:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        _close_others(keep)
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
        if os.getppid() == parent:  # else pulse died before the line above could see it
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            status = work()
    finally:
        # Also for whatever was raised: nothing may climb into pulse's own code from here.
        os._exit(status)


def _close_others(keep: int) -> None:
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number >= STANDARD and number != keep:
            with contextlib.suppress(OSError):
                os.close(number)


def _link_entry(name: str, entry: Entry, sock: socket.socket) -> int:
    try:
        return entry(sock) or 0
    except BaseException as problem:  # noqa: BLE001 - a child has nobody else to tell
        # One sentence for the operator; the traceback is for us, one level down.
        link = Link(sock)
        where = traceback.extract_tb(problem.__traceback__)
        place = f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else "?"
        text = f"{name} failed at {place}: {type(problem).__name__}: {problem}"
        link.send({"event": {"level": "crit", "text": text}})
        for line in traceback.format_exception(problem):
            link.send({"event": {"level": "debug", "text": line}})
        return FAILED


def _plain_entry(work: Callable[[], object], writer: int) -> int:
    try:
        work()
    except BaseException as problem:  # noqa: BLE001 - a child has nobody else to tell
        text = str(problem) or type(problem).__name__
        os.write(writer, text.encode("utf-8", "replace")[: select.PIPE_BUF])
        return FAILED
    return 0
