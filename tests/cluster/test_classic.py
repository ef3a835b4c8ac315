# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our heart beside a router of old, `heartbeat_format = classic`: takeover both ways under kills.

Hearts alone, in network namespaces. What the original did is a model of it (old_router.py).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from piranha.net.addresses import VirtualAddress

from tests.cluster import heart_lab
from tests.cluster.heart_lab import (
    ALL,
    GATEWAY,
    VIRTUAL,
    VIRTUAL6,
    Heart,
    Net,
    Pings,
    pause,
    peer,
)
from tests.cluster.old_router import OldRouter, old_router

KEEPALIVE, DEADTIME = 0.2, 0.6
SOON = DEADTIME + KEEPALIVE + 1.0
"""Seconds; a machine that is busy is late."""
AT_ONCE = DEADTIME - KEEPALIVE
"""Whoever waits for silence needs longer."""
WANTED = [
    VirtualAddress(VIRTUAL, 32, "eth0:1"),
    VirtualAddress(VIRTUAL6, 128, "eth0:1"),
    VirtualAddress(GATEWAY, 32, "eth1:1"),
]


Pair = tuple[Heart, OldRouter, int]


@pytest.fixture(
    params=[
        pytest.param(0, id="ours is the primary"),
        pytest.param(1, id="ours is the backup", marks=pytest.mark.whole),
    ]
)
def pair(net: Net, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Our heart as one of the routers, a router of old as the other; neither is started."""
    number: int = request.param
    text = heart_lab.config(keepalive=KEEPALIVE, deadtime=DEADTIME, heartbeat_format="classic")
    text = text.replace(f"heartbeat_key_file = {heart_lab.KEY_FILE}\n", "")
    ours = Heart(net.routers[number], tmp_path, text)
    ours.key_file.unlink()  # it needs none
    try:
        with old_router(net, 1 - number, WANTED, (KEEPALIVE, DEADTIME)) as old:
            yield ours, old, number
    finally:
        ours.close()
        net.mend()


def until(ours: Heart, old: OldRouter, active: Heart | OldRouter, limit: float = SOON) -> float:
    """Wait until one has all addresses and the other none; gives the seconds."""
    other = old if active is ours else ours
    begin = time.monotonic()
    while not (active.holds() == ALL and not other.holds()):
        passed = time.monotonic() - begin
        assert passed < limit, f"ours {ours.holds()}, theirs {old.holds()}, {ours.events}"
        hear(ours)
    return time.monotonic() - begin


def hear(ours: Heart) -> None:
    """Let a moment pass."""
    if ours.pid:
        ours.hear(0.005)
    else:
        time.sleep(0.005)


def stays(ours: Heart, old: OldRouter, active: Heart | OldRouter) -> None:
    """See that the addresses do not move for longer than a dead time."""
    end = time.monotonic() + 1.5 * DEADTIME
    while time.monotonic() < end:
        pause(0.1, ours)
        assert active.holds() == ALL
        assert not (old if active is ours else ours).holds()


def test_takeover_both_ways(net: Net, pair: Pair) -> None:
    ours, old, number = pair
    old.start()
    until(ours, old, old)
    ours.start()
    ours.until(lambda: ours.is_("standby") and peer(ours) == "active")
    assert ours.state["heartbeat_format"] == "classic"
    assert ours.state["keys"] == []
    assert any("heartbeat_format = classic" in text for text in ours.events)
    stays(ours, old, old)

    with Pings(net.client) as pings:
        pause(0.5, ours)
        moment = time.monotonic()
        old.lose_power()
        until(ours, old, ours)
        pause(0.5, ours)
        gap = pings.gap(moment)
        assert gap < SOON
        old.start()
        ours.until(lambda: peer(ours) == "standby")
        stays(ours, old, ours)

        ours.kill()
        assert ours.resign() == 0, "in its place pulse says what makes the other take over"
        until(ours, old, old, AT_ONCE)
        ours.start()
        ours.until(lambda: ours.is_("standby") and peer(ours) == "active")
        old.end(signal.SIGTERM)
        until(ours, old, ours)  # it has said nothing, so we wait for its silence
        old.start()
        ours.until(lambda: peer(ours) == "standby")
        assert ours.ask("stop")["ok"]
        until(ours, old, old, AT_ONCE)
        assert ours.reap() == 0
    print(f"ours is {number}: its router of old lost power, {gap:.3f} s without an answer")


@pytest.mark.whole
def test_a_split_ends_with_the_primary(net: Net, pair: Pair) -> None:
    ours, old, number = pair
    # Longer than the second in which a kernel asks for a neighbour again that it lost sight of;
    # else the primary, which is not heard for so long, must take it for a cut in one direction.
    old.times = heart_lab.KEEPALIVE, heart_lab.DEADTIME
    ours.config.write_text(heart_lab.config(heartbeat_format="classic"))
    ours.start()
    until(ours, old, ours, 5)
    old.start()
    ours.until(lambda: peer(ours) == "standby")
    net.cut(0)
    ours.until(lambda: old.holds() == ours.holds() == ALL, 5)
    net.cut(0, up=True)
    until(ours, old, (ours, old)[number], 5)
    stays(ours, old, (ours, old)[number])

    holds = ours.holds()
    ours.config.write_text(heart_lab.config(keepalive=KEEPALIVE, deadtime=5))
    assert "there is no heartbeat key" in ours.ask("reload")["error"]
    ours.until(lambda: ours.state["heartbeat_format"] == "classic")
    ours.key_file.write_text(heart_lab.GOOD_KEY)
    ours.key_file.chmod(0o600)
    assert "is heard, which would not be heard" in ours.ask("reload")["error"]
    assert ours.holds() == holds
    old.end(signal.SIGKILL)
    ours.until(lambda: peer(ours) == "down")
    holds = ours.holds()
    assert ours.ask("reload")["ok"]
    ours.until(lambda: ours.state["heartbeat_format"] == "signed")
    assert len(ours.state["keys"]) == 1
    assert ours.holds() == holds, "a reload moves nothing; the partner is another matter"
