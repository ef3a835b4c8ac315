# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program of the firewall: found where only root can put one, with a time limit, no shell.

A thin shell that decides nothing. Input and output are files in memory, so that nobody has to read
while the program runs; lvsd's loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence

from piranha.nanny import program
from piranha.nanny.outcome import shown

LIMIT = 5.0
"""Seconds for one run; a large table takes a tenth of one."""
MOST_OUTPUT = 16 << 20
"""Bytes of an answer; ten thousand rules have one."""


class Failed(Exception):
    """The program did not do it; the text says why."""


class Missing(Failed):
    """The program is not there, or not safe to run."""


async def run(
    words: Sequence[str],
    text: str = "",
    more: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> str:
    """Run it with `text` as its input; gives what it prints, or raises Failed with its reason.

    more: environment variables beside PATH and the language.
    """
    name = words[0]
    try:
        path = program.find(name)
    except (program.Refused, OSError) as error:
        raise Missing(str(error)) from error
    inside, out, err = (os.memfd_create(part, os.MFD_CLOEXEC) for part in ("in", "out", "err"))
    try:
        os.write(inside, text.encode())
        os.lseek(inside, 0, os.SEEK_SET)
        try:
            process = subprocess.Popen(
                list(words),
                executable=path,
                stdin=inside,
                stdout=out,
                stderr=err,
                cwd="/",
                env={"PATH": program.PATH, "LC_ALL": "C.UTF-8", **(more or {})},
                # Killed with all that it starts. Nothing of Python runs between fork and exec, so
                # that no page of lvsd is copied: in user-mode Linux that took half a second.
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Failed(f"{name} cannot be started: {error}") from error
        await _ended(process, name, limit)
        if process.returncode:
            said = _read(err).strip().splitlines() or [f"status {process.returncode}"]
            raise Failed(f"{name}: {shown(said[0].removeprefix('Error: ').encode())}")
        return _read(out)
    finally:
        for descriptor in (inside, out, err):
            os.close(descriptor)


async def _ended(process: subprocess.Popen[bytes], name: str, limit: float) -> None:
    ended = asyncio.Event()
    try:
        with program.watched(process, ended.set):
            async with asyncio.timeout(limit):
                await ended.wait()
    except TimeoutError:
        raise Failed(f"{name} did not end within {limit:g} s and was killed") from None
    finally:
        await program.end(process)


def _read(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    if size > MOST_OUTPUT:
        raise Failed(f"it printed {size} bytes, more than the {MOST_OUTPUT} that are read")
    return os.pread(descriptor, size, 0).decode("utf-8", "replace")
