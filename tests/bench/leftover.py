# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program leaves of the processor, by a process that counts whenever nobody else would run.

The kernel's own account of processor time is no good for programs that wake up by the clock and
are done before it ticks again: in user-mode Linux it adds up whole ticks, and misses nearly all
that such a program does. What is left for somebody of the lowest rank needs no account. It contains
what the kernel does for the program, and what those do whom the program asks.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

SPIN = """\
import mmap, os, struct, sys
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
with open(sys.argv[1], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 8)
count = 0
while True:
    for _ in range(1000):
        pass
    count += 1
    struct.pack_into("Q", shared, 0, count)
"""


class Leftover:
    """The counting process, for the length of a `with`, begun when it counts.

    folder: where both find the number.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "leftover"
        self._path.write_bytes(bytes(8))

    def __enter__(self) -> Self:
        with self._path.open("rb") as file:
            self._shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
        self._process = subprocess.Popen([sys.executable, "-c", SPIN, str(self._path)])
        while not self._count() and self._process.poll() is None:
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        self._shared.close()

    @property
    def pid(self) -> int:
        """The process that counts."""
        return self._process.pid

    def rate(self, seconds: float) -> float:
        """Watch for that long; gives how many rounds it made in a second."""
        began, before = time.monotonic(), self._count()
        time.sleep(seconds)
        return (self._count() - before) / (time.monotonic() - began)

    def _count(self) -> int:
        (found,) = struct.unpack_from("Q", self._shared)
        return int(found)
