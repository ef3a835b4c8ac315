# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few hundred schedules of the simulation, with each change; all of them: tests/simulation."""

from __future__ import annotations

import pytest
from piranha.pulse.machine import Input, State
from piranha.pulse.wire import Role

from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.runs import play, told
from tests.simulation.scenes import AT, EACH
from tests.simulation.world import BrokenPromise, World


@pytest.mark.parametrize("first", [0, 100, 200, 300])
def test_promises_hold_in_random_schedules(first: int) -> None:
    outcome = play(range(first, first + 100))
    assert not outcome.broken, told(outcome)
    assert outcome.taken, "no schedule has handed a connection over"


def test_a_planted_fault_is_found_and_gone_again() -> None:
    name = "the goodbye comes before the release"
    with planted(MUTANTS[name]), pytest.raises(BrokenPromise, match="says LEAVING, and holds"):
        for seed in range(100):
            World(seed).run()
    World(2).run()


def test_scenes_bring_about_what_chance_does_not() -> None:
    outcome = play(range(AT, 20 * EACH, EACH))
    assert not outcome.broken, told(outcome)
    assert outcome.cells >= {
        (Role.PRIMARY, State.DOUBT, Input.PEER_GONE),
        (Role.BACKUP, State.DOUBT, Input.PEER_GONE),
        (Role.PRIMARY, State.CONTESTED, Input.CUT_OFF),
    }


@pytest.mark.parametrize("name", MUTANTS)
def test_every_fault_can_be_planted(name: str) -> None:
    """Its text is in the code still."""
    with planted(MUTANTS[name]):
        pass


def test_a_seed_is_played_the_same_again() -> None:
    traces = []
    for _unused in range(2):
        world = World(4, trace=True)
        world.run()
        traces.append(world.trace)
    assert traces[0] == traces[1]
