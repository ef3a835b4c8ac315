# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one check with an external program (`send_program`).

A thin shell: no shell of the other kind is ever involved. The program is run as an argument
list, without any capability, in a process group of its own, and that whole group is killed when
the program ends or its time is up. Its meaning is decided by `judge`, which is pure.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .answer import Answer
from .outcome import Outcome, bad, duration, good, shown, unknown
from .spec import Expectation, Match, ProgramCheck

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_KEPT = 4096
"""Bytes kept of a program's output; more is read and thrown away, so that it never blocks."""
OUTPUT_LIMIT = 1 << 20
"""Bytes after which a program is killed: reading for ever would cost the other checks."""
LINE_SHOWN = 160
"""Bytes told of a line on stderr."""
KILL_GRACE = 1.0
"""Seconds that a killed program is waited for; only one stuck in the kernel needs longer."""

# linux/prctl.h, linux/capability.h
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """The program may not be run; the text says why, and what to do about it."""


def find(name: str, trusted: frozenset[int] = frozenset({0})) -> str:
    """Give the real path of a program that only root can have put there, or raise Refused.

    `trusted`: user ids that may own it and every folder above it.
    """
    path = shutil.which(name, path=PATH)
    if path is None:
        where = "" if "/" in name else f" in {PATH}"
        raise Refused(f"there is no program {name}{where}, or it is not executable")
    real = Path(path).resolve()
    for part in (real, *real.parents):
        reason = unsafe(part.stat(), trusted)
        if reason:
            raise Refused(f"{name} was not run, since {part} {reason}; make it root's alone")
    return str(real)


def unsafe(status: os.stat_result, trusted: frozenset[int]) -> str | None:
    """Tell why somebody other than `trusted` could change this file or folder, or None."""
    if status.st_uid not in trusted:
        return f"belongs to user {status.st_uid}"
    # In a folder with the sticky bit, others can add entries but not replace somebody else's.
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
        return "can be written by others"
    return None


def judge(
    status: int, output: bytes, expectation: Expectation | None, errors: bytes = b""
) -> Outcome:
    """Say what an exit status (negative: the signal that ended it) and an output mean.

    errors: what it printed to stderr; it decides nothing, and is told where something is wrong.
    """
    if status < 0:
        name = signal.Signals(-status).name
        return bad(f"the program was ended by signal {name}{complaint(errors)}")
    if status > 0:
        return bad(f"the program ended with status {status}{_said(output)}{complaint(errors)}")
    if expectation is None or expectation.match is Match.ANY:
        return good(f"the program succeeded{_said(output)}")
    if expectation.match is Match.REGEX:
        answer = Answer(expectation)
        return answer.feed(output) or answer.closed()
    line = output.removesuffix(b"\n")
    if line == expectation.value:
        return good(f"the program said {shown(line)}")
    instead = f"{shown(line)} instead of {shown(expectation.value)}"
    return bad(f"the program said {instead}{complaint(errors)}")


def complaint(errors: bytes) -> str:
    """Say what a program printed to stderr, as the end of a sentence; nothing if nothing.

    The last line: most programs end with what kept them from going on.
    """
    lines = errors.split(b"\n") if errors.strip() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), b"")
    return f"; on stderr: {shown(last, LINE_SHOWN)}" if last else ""


def _said(output: bytes) -> str:
    line = output.removesuffix(b"\n")
    return f" and said {shown(line)}" if line else ""


class Ended(NamedTuple):
    """A program that has ended by itself: its exit status (negative: a signal), its output, and
    what it printed to stderr.
    """

    status: int
    output: bytes
    errors: bytes = b""


async def run(check: ProgramCheck, trusted: frozenset[int] = frozenset({0})) -> Outcome:
    """Make the check; ends within `check.limit` seconds, and leaves no process behind."""
    ended = await execute(check.command, check.limit, trusted)
    if isinstance(ended, Outcome):
        return ended
    return judge(ended.status, ended.output, check.expect, ended.errors)


async def execute(
    command: tuple[str, ...], limit: float, trusted: frozenset[int] = frozenset({0})
) -> Ended | Outcome:
    """Run a program without any right; an Outcome says why there is no exit status.

    Ends within `limit` seconds, and leaves no process behind.
    """
    try:
        path = find(command[0], trusted)
    except (Refused, OSError) as error:
        return bad(str(error))
    try:
        process = _start(path, command)
    except BlockingIOError as error:
        return unknown(f"not checked: cannot start a process: {error.strerror}")
    except (OSError, subprocess.SubprocessError) as error:
        return bad(f"{command[0]} cannot be started: {error}")
    output, errors = _Output(), _Output()
    try:
        async with asyncio.timeout(limit):
            await _finish(process, output, errors)
    except TimeoutError:
        within = f"{duration(limit)} and was killed{complaint(bytes(errors.kept))}"
        return bad(f"the program did not end within {within}")
    finally:
        await end(process)
    if output.total > OUTPUT_LIMIT or errors.total > OUTPUT_LIMIT:
        return bad(f"the program printed more than {OUTPUT_LIMIT} bytes and was killed")
    return Ended(process.returncode, bytes(output.kept), bytes(errors.kept))


def _start(path: str, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        executable=path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd="/",
        env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        # This process has one thread, so that running Python between fork and exec is safe.
        preexec_fn=_renounce,  # noqa: PLW1509
    )


def _renounce() -> None:
    """Give up every right, and every signal disposition and mask taken over from the agent."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Ours, and what whoever started us had ignored (a shell's "&" ignores INT and QUIT).
    for number in signal.valid_signals():
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    # lvsd may be killed; nobody would be left to end a program that hangs.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(_LAST_CAPABILITY + 1):
        # Fails past the kernel's last one, and without CAP_SETPCAP; what follows is enough alone.
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    # With this, running a file as root, set-uid or with file capabilities gives nothing back.
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot set no_new_privs")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, none):
        raise OSError(ctypes.get_errno(), "cannot drop capabilities")


class _Output:
    """What a program has printed: the beginning of it, and how much there was."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.total = 0

    def drain(self, descriptor: int) -> bool:
        """Read once what has arrived; False at the end of the output."""
        try:
            piece = os.read(descriptor, 65536)
        except BlockingIOError:
            return True
        self.total += len(piece)
        self.kept += piece[: OUTPUT_KEPT - len(self.kept)]
        return bool(piece)


async def _finish(process: subprocess.Popen[bytes], output: _Output, errors: _Output) -> None:
    """Read until the program itself has ended; children that hold a pipe open do not matter."""
    loop = asyncio.get_running_loop()
    if process.stdout is None or process.stderr is None:  # pragma: no cover - Popen was given PIPE
        raise RuntimeError("the program has no output pipe")
    pipes = ((process.stdout.fileno(), output), (process.stderr.fileno(), errors))
    enough: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not enough.done():
            enough.set_result(None)

    def read(descriptor: int, kept: _Output) -> None:
        if not kept.drain(descriptor):
            loop.remove_reader(descriptor)
        if kept.total > OUTPUT_LIMIT:
            finish()

    for descriptor, kept in pipes:
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, read, descriptor, kept)
    try:
        with watched(process, finish):
            await enough
        for descriptor, kept in pipes:
            kept.drain(descriptor)
    finally:
        for descriptor, _unused in pipes:
            loop.remove_reader(descriptor)


@contextlib.contextmanager
def watched(process: subprocess.Popen[bytes], on_end: Callable[[], None]) -> Iterator[None]:
    """Call `on_end` when the process has ended (it is not reaped by this)."""
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(process.pid)
    loop.add_reader(pidfd, on_end)
    try:
        yield
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the program's group, then reap the program."""
    # The leader is not reaped yet, so that its group's number cannot belong to anybody else.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    if process.poll() is not None:
        return
    ended = asyncio.Event()
    with watched(process, ended.set), contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILL_GRACE):
            await ended.wait()
    # Where it is still stuck in the kernel, the subprocess module reaps it at a later start.
    process.poll()
