# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random schedules: never two owners while both hear each other, always one while one is able."""

from __future__ import annotations

import pytest

from .simulation import World

SCHEDULES = 300
BLOCK = 50


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_promises_hold_in_random_schedules(first: int) -> None:
    taken = 0
    for seed in range(first, first + BLOCK):
        world = World(seed)
        world.run()
        taken += world.taken
    assert taken, "no schedule has handed a connection over"
