# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every fuzzer shares: a time limit for an input, several cores, how it is asked and tells.

An input has a number, from which with the seed it follows. What is broken, and what must hold, is
the fuzzers' own business.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import secrets
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TypeVar

KEPT = 10
"""Failures that are told in full."""
TELL = 10.0
"""Seconds between two words about how far it is."""


class Failure(NamedTuple):
    """An input that broke a promise."""

    index: int
    what: str


class Share(NamedTuple):
    """What came of some inputs: their number, the failures, MB that the process has now."""

    judged: int
    failures: list[Failure]
    memory: float


class Hang(BaseException):
    """The time limit of one input; no handler for Exception may swallow it."""


def _too_long(number: int, frame: FrameType | None) -> None:
    raise Hang


def within(limit: float, judge: Callable[[], str]) -> str:
    """Judge one input in `limit` seconds of processor time; gives what is wrong, or nothing."""
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        return judge()
    except Hang:
        return f"took more than {limit:g} s\n{traceback.format_exc()}"
    except Exception:  # noqa: BLE001 - any exception at all is what this looks for
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def share(indexes: Sequence[int], judge: Callable[[int], str]) -> Share:
    """Judge some inputs, each by its number."""
    judged = ((index, judge(index)) for index in indexes)
    failures = [Failure(index, what) for index, what in judged if what]
    return Share(len(indexes), failures, resident())


def resident() -> float:
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


Task = TypeVar("Task")


class Run(NamedTuple):
    """A run: what it is called, the words that ask for one input again, and how much there is.

    growth: MB by which a process may have grown at its end, None where that is not looked at.
    """

    title: str
    again: str
    inputs: int
    workers: int
    growth: float | None = None

    def over(self, work: Callable[[Task], Share], tasks: Iterable[Task]) -> int:
        """Do all tasks on some cores, telling how far it is; gives the number of failures."""
        began = told = time.monotonic()
        done = failed = 0
        memory: list[float] = []
        with multiprocessing.Pool(self.workers) as pool:
            for judged, failures, size in pool.imap_unordered(work, tasks):
                done += judged
                memory.append(size)
                for failure in failures:
                    failed += 1
                    if failed <= KEPT:
                        print(f"\n{self.title}, input {failure.index}: {failure.what}")
                        print(f"  again: {self.again} --only {failure.index}")
                now = time.monotonic()
                if now - told > TELL:
                    told = now
                    left = (self.inputs - done) * (now - began) / done
                    state = f"{done:,} of {self.inputs:,} inputs, {failed} failures"
                    print(f"  {self.title}: {state}, {left:.0f} s left", flush=True)
        return failed + self._close(time.monotonic() - began, memory, failed)

    def _close(self, seconds: float, memory: list[float], failed: int) -> int:
        """Tell what came of it; 1 where a process has grown too much."""
        # The first inputs import and compile; what follows must not add to it.
        grown = max(memory) - memory[min(self.workers, len(memory) - 1)]
        print(
            f"  {self.title:14} {self.inputs:,} inputs in {seconds:.0f} s on {self.workers} cores"
            f" ({self.inputs / seconds:,.0f}/s), {grown:.1f} MB grown, {failed} failures",
            flush=True,
        )
        if self.growth is None or grown <= self.growth:
            return 0
        print(f"{self.title}: a process has grown by {grown:.1f} MB (at most {self.growth:g})")
        return 1


def chunks(inputs: int, size: int) -> list[range]:
    """Cut the numbers of all inputs into portions."""
    return [range(begin, min(begin + size, inputs)) for begin in range(0, inputs, size)]


def options(name: str, doc: str | None) -> argparse.ArgumentParser:
    """Give the options that every fuzzer has."""
    parser = argparse.ArgumentParser(prog=f"tests.fuzz.{name}", description=doc)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--only", type=int, metavar="INDEX", help="show one input again")
    return parser


def shown(data: object, what: str) -> int:
    """Show one input and what comes of it; the exit status."""
    print(repr(data))
    print(what or "nothing is wrong with this one")
    return int(bool(what))
