# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts one program and waits for its end without a thread; the only place here that does so.

pulse must not stand still for it: posix_spawn shares the memory instead of copying it, resets the
signals, and takes real-time priority away, which a user's command has no business with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

KEPT = 2048
"""Bytes kept of what a program says about its failure."""

KILL_WAIT = 1.0
"""Seconds that a killed program is waited for; only one stuck in the kernel needs longer."""

_stuck: set[int] = set()
"""Programs that were killed and did not end in time; reaped when they do."""


def spawn(argv: Sequence[str], path: str, env: Mapping[str, str], output: int) -> int:
    """Start a program in a session of its own; gives its process id. output: where it prints.

    OSError where it cannot be started.
    """
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.posix_spawn(
            path,
            list(argv),
            dict(env),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_DUP2, null, 0),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[
                n for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP)
            ],
            scheduler=(os.SCHED_OTHER, os.sched_param(0)),
        )
    finally:
        os.close(null)


async def wait(pid: int, limit: float) -> int | None:
    """Wait for its end; gives its exit status (negative: a signal).

    None: `limit` seconds have passed, or we are cancelled, and its whole group has been killed.
    """
    for gone in [one for one in _stuck if _reap(one) is not None]:
        _stuck.discard(gone)
    try:
        if await _ended(pid, limit):
            return _reap(pid)
    except asyncio.CancelledError:
        await asyncio.shield(_kill(pid))
        raise
    await _kill(pid)
    return None


async def _kill(pid: int) -> None:
    # The leader is not reaped yet, so that its group's number cannot belong to anybody else.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    await _ended(pid, KILL_WAIT)
    if _reap(pid) is None:
        _stuck.add(pid)


async def _ended(pid: int, limit: float) -> bool:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    handle = os.pidfd_open(pid)

    def end() -> None:
        if not over.done():
            over.set_result(None)

    loop.add_reader(handle, end)
    try:
        async with asyncio.timeout(limit):
            await over
        return True
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _reap(pid: int) -> int | None:
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if done else None


async def call(argv: Sequence[str], env: Mapping[str, str], limit: float) -> tuple[int | None, str]:
    """Run a program of the system to its end; gives its status and the first that it said."""
    said = os.memfd_create("said", os.MFD_CLOEXEC)
    try:
        status = await wait(spawn(argv, argv[0], env, said), limit)
        return status, os.pread(said, KEPT, 0).decode("utf-8", "replace").strip()
    finally:
        os.close(said)
