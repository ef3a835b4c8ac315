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

CUE = b"!"
"""What an understudy waits for."""

Entry = Callable[[socket.socket], int | None]


@dataclass
class Process:
    """A running child: its process and our end of the link to it."""

    pid: int
    link: Link

    def poll(self) -> int | None:
        """Give the exit status (negative: the signal that ended it) once it has ended, or None."""
        return _reap(self.pid)

    def act(self) -> bool:
        """Tell an understudy to step in; False if it cannot be told."""
        try:
            return os.write(self.link.fileno(), CUE) == len(CUE)
        except OSError:
            return False

    def wait(self, limit: float) -> int | None:
        """Wait for its end; gives its exit status, or None when `limit` seconds have passed."""
        return _wait(self.pid, limit)

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


def understudy(name: str, rehearse: Callable[[Link], object], entry: Entry) -> Process:
    """Fork a child that rehearses, says {"ready": true} and waits for `Process.act`.

    Then it takes the name and runs `entry` with pulse's priority. It ends by itself when pulse
    closes the link. OSError where no process can be made.
    """

    def wait(sock: socket.socket) -> int | None:
        link = Link(sock)
        rehearse(link)
        # Before it waits, not after its cue: an ordinary process is woken in its turn.
        raise_priority()
        link.send({"ready": True})
        sock.setblocking(True)
        if not sock.recv(len(CUE)):
            return 0
        _set_name(name)
        return entry(sock)

    return spawn(f"{name}-next", wait)


def in_link(work: Callable[[], object], sock: socket.socket) -> int:
    """Do `work`, as the entry of a child; what goes wrong is told over the link, for `outcome`."""
    try:
        work()
    except Exception as problem:  # noqa: BLE001 - a child has nobody else to tell
        Link(sock).send({"problem": str(problem) or type(problem).__name__})
        return FAILED
    return 0


def outcome(process: Process, limit: float) -> str | None:
    """Wait for a child that does `in_link`; gives why it failed, or None. limit: seconds."""
    if (status := process.wait(limit)) is None:
        process.kill()
    told = [str(m["problem"]) for m in process.link.receive() if "problem" in m]
    process.link.close()
    if status is None:
        return f"it did not end within {limit:g} s"
    return None if status == 0 else "; ".join(told) or f"it {describe(status)}"


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
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _set_name(name)
        if os.getppid() == parent:  # else pulse died before the line above could see it
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            status = work()
    finally:
        # Also for whatever was raised: nothing may climb into pulse's own code from here.
        os._exit(status)


def _set_name(name: str) -> None:
    """Set what ps shows."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)


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
