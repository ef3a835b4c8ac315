# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share of the attacks of tests/fuzz/heartbeats.py, with each change."""

from __future__ import annotations

import random

import pytest
from piranha.pulse.machine import State
from piranha.pulse.wire import Role

from tests.fuzz.heartbeats import KEY, Attack, Broken, run


@pytest.mark.parametrize("seed", [1, 2])
def test_attacks_change_nothing(seed: int) -> None:
    assert run(10_000, seed).startswith("10000 datagrams changed nothing")


def test_an_attacker_with_the_key_would_be_noticed() -> None:
    """So the test above can fail."""
    attack = Attack(random.Random(1))
    attack.begin()
    forged = attack._forged(Role.BACKUP, KEY)
    before = attack.engines[Role.BACKUP].machine.heard_at
    for _unused in range(50):
        effects = attack.engines[Role.BACKUP].received(forged, attack.now)
        forged = attack._forged(Role.BACKUP, KEY)
        try:
            attack._judge(Role.BACKUP, forged, effects, before)
        except Broken:
            return
    assert attack.engines[Role.BACKUP].machine.state is State.STANDBY
    pytest.fail("nothing was noticed")
