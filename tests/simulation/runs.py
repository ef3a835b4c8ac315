# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many seeds, in several processes; with or without a fault planted in our own code."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.pool import Pool

from .mutants import FINDERS, MUTANTS, planted
from .router import Cell
from .world import OF_OLD, BrokenPromise, World

BLOCK = 50
"""Seeds that a process plays before it tells what came of them."""
MOST_TOLD = 20


@dataclass
class Outcome:
    """What came of some seeds."""

    played: int = 0
    faults: int = 0
    dead_times: float = 0.0
    """The shortest schedule's length."""
    taken: int = 0
    cells: set[Cell] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count the seeds of another one in."""
        first = not self.played
        self.played += other.played
        self.faults += other.faults
        self.taken += other.taken
        self.cells |= other.cells
        self.broken += other.broken
        self.dead_times = other.dead_times if first else min(self.dead_times, other.dead_times)


def play(seeds: Iterable[int]) -> Outcome:
    """Play seeds one after the other, in this process."""
    outcome = Outcome(dead_times=float("inf"))
    for seed in seeds:
        world = World(seed, cells=outcome.cells)
        try:
            world.run()
        except BrokenPromise as broken:
            outcome.broken.append(str(broken))
        outcome.played += 1
        outcome.faults += world.faults.count
        outcome.taken += world.promises.taken
        outcome.dead_times = min(outcome.dead_times, world.end / world.deadtime)
    return outcome


def _quick() -> None:
    gc.freeze()
    gc.set_threshold(100_000)


def pool() -> Pool:
    """Make a process for each processor."""
    return multiprocessing.get_context("fork").Pool(os.cpu_count(), _quick)


def play_all(workers: Pool, count: int, start: int = 0) -> Outcome:
    """Play so many seeds, in all processes."""
    outcome = Outcome()
    end = start + count
    blocks = [range(first, min(first + BLOCK, end)) for first in range(start, end, BLOCK)]
    for part in workers.imap_unordered(play, blocks):
        outcome.add(part)
    return outcome


def find(task: tuple[str, int]) -> tuple[str, int | None, str]:
    """Plant a mutant and play seeds until a promise is broken: its name, the seed, the promise.

    task: the mutant's name and how many seeds it gets at most, besides those that found others.
    """
    name, most = task
    mutant = MUTANTS[name]
    seeds = dict.fromkeys((*FINDERS, *range(most)))
    if mutant.classic:
        seeds = dict.fromkeys(range(OF_OLD, OF_OLD + most))
    with planted(mutant):
        for seed in seeds:
            try:
                World(seed).run()
            except BrokenPromise as broken:
                return name, seed, str(broken)
            except Exception as error:  # noqa: BLE001 - a mutant may break anything
                return name, seed, f"{type(error).__name__}: {error}"
    return name, None, ""


def told(outcome: Outcome) -> str:
    """Say which seeds broke a promise and how to play them again."""
    lines = sorted(outcome.broken)[:MOST_TOLD]
    left = len(outcome.broken) - len(lines)
    more = [f"and {left} more"] if left else []
    again = "play one again: .venv/bin/python -m tests.simulation SEED"
    return "\n".join([*lines, *more, again])
