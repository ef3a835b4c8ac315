# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A share of the attacks of tests/fuzz/heartbeats.py, with each change."""

from __future__ import annotations

import random
import socket

import pytest
from piranha.pulse import oldwire
from piranha.pulse.heart_settings import Route
from piranha.pulse.machine import State
from piranha.pulse.oldwire import Said
from piranha.pulse.pathways import Pathways
from piranha.pulse.wire import Role

from tests.fuzz.heartbeats import KEY, Attack, Broken, run


@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_attacks_change_nothing(seed: int, classic: bool) -> None:
    assert run(10_000, seed, classic).startswith("10000 datagrams changed nothing")


def test_four_bytes_of_old_from_the_partners_address_are_believed() -> None:
    """As they were by the original; so the test above can fail for that format too."""
    attack = Attack(random.Random(1), classic=True)
    attack.begin()
    victim = attack.engines[Role.BACKUP]
    before = victim.machine.heard_at
    attack.now += 0.1
    data = oldwire.write(Said.STOPPED)
    with pytest.raises(Broken, match="BACKUP"):
        attack._judge(Role.BACKUP, data, victim.received(data, attack.now), before)


@pytest.mark.parametrize("anywhere", [False, True])
def test_only_the_partners_address_is_heard(anywhere: bool) -> None:
    routes = (Route("127.0.0.11", "127.0.0.12"), Route("127.0.1.11", "127.0.1.12"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.11", 0))
        port = free.getsockname()[1]
    paths = Pathways.opened(routes, port)
    paths.anywhere = anywhere
    for source in ("127.0.0.12", "127.0.1.12", "127.0.0.13"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((source, 0))
            one.sendto(source.encode(), ("127.0.0.11", port))
    heard = list(paths.receive({one.fileno() for one in paths.sockets}))
    for one in paths.sockets:
        one.close()
    expected = [(routes[0], b"127.0.0.12")]
    # A router of old may send from any address of its own, on whichever path.
    assert heard == ([*expected, (routes[1], b"127.0.1.12")] if anywhere else expected)


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
