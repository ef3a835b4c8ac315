# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""20,000 random schedules keep every promise and take every transition; mutants are found."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest
from piranha.pulse.machine import TABLES

from .mutants import MUTANTS
from .runs import Outcome, find, play_all, pool, told
from .world import OF_OLD

SCHEDULES = 20_000
WITH_ONE_OF_OLD = 1_000
"""More schedules, with `heartbeat_format = classic`."""
MUTANT_SCHEDULES = 3_000
"""Within these each planted fault must be found; most are within a hundred."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Pool]:
    """One process for each processor."""
    with pool() as made:
        yield made


@pytest.fixture(scope="module")
def outcome(workers: Pool) -> Outcome:
    """What came of all schedules."""
    return play_all(workers, SCHEDULES)


def test_every_promise_is_kept_in_every_schedule(outcome: Outcome) -> None:
    assert outcome.played == SCHEDULES
    assert not outcome.broken, told(outcome)


def test_so_it_is_with_heartbeats_of_old_but_for_what_they_cannot_tell(workers: Pool) -> None:
    outcome = play_all(workers, WITH_ONE_OF_OLD, OF_OLD)
    assert outcome.played == WITH_ONE_OF_OLD
    assert not outcome.broken, told(outcome)
    assert not outcome.taken, "no connections are handed over"


def test_schedules_are_long_and_full_of_faults(outcome: Outcome) -> None:
    assert outcome.dead_times >= 10
    assert outcome.faults / outcome.played >= 2.7, "some that wait for a state come too late"
    assert outcome.taken > SCHEDULES / 20, "connections were handed over"


def test_every_transition_of_the_tables_is_taken(outcome: Outcome) -> None:
    """All cells in which something happens."""
    cells = {
        (role, state, why)
        for role, rows in TABLES.items()
        for state, row in rows.items()
        for why, cell in row.items()
        if cell.state is not state or cell.do
    }
    missed = {f"{role.name} {state.name} {why.name}" for role, state, why in cells - outcome.cells}
    assert missed <= NEVER, f"never taken: {sorted(missed - NEVER)}"
    assert missed >= NEVER, f"taken after all: {sorted(NEVER - missed)}"


NEVER = {
    # A primary that becomes the backup in a contest gives way in the same moment (retime).
    *(
        f"BACKUP CONTESTED {why}"
        for why in ("ALONE", "BEAT", "FAILED", "LOST", "PAUSED", "PEER_FAULT", "PEER_GONE")
    ),
    *(
        f"BACKUP CONTESTED {why}"
        for why in (
            *("PEER_STANDBY", "PEER_DOUBT", "SILENT", "CUT_OFF"),
            *("STOP", "UNLINKED", "UNYIELDING"),
        )
    ),
    # A heart starts before it looks at the time or hears of anything else.
    *(f"{role} NEW {why}" for role in ("PRIMARY", "BACKUP") for why in ("BEAT", "STOP")),
}
"""Cells that no run of the heart can come to; they are there so that the tables are whole."""


def test_every_planted_fault_is_found(workers: Pool) -> None:
    tasks = [(name, MUTANT_SCHEDULES) for name in MUTANTS]
    found = list(workers.imap_unordered(find, tasks, 1))
    assert len(found) >= 10
    for name, seed, why in sorted(found, key=lambda each: each[1] or 0):
        print(f"{name}: {'not found' if seed is None else f'seed {seed}: {why}'}")
    assert not [name for name, seed, _unused in found if seed is None]
