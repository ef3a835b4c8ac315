# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cables cut one at a time: those of the heartbeats, and those of the virtual addresses.

Hearts alone, in network namespaces. Bonds, bridges and VLANs: test_uppers.py.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.heart_lab import (
    ALL,
    CABLES,
    DEADTIME,
    KEEPALIVE,
    PRIVATE,
    PUBLIC,
    THIRD,
    VIRTUAL,
    Heart,
    Net,
    Pings,
    config,
    ip,
    pause,
    peer,
    settle,
)

Three = tuple[Net, Heart, Heart]
AT_ONCE = (DEADTIME - KEEPALIVE) / 2
"""Seconds; whoever waits for silence needs at least twice that, and a virtual machine is slow."""
THREE_LINKS = {"primary_links": f"[ {THIRD[0]} ]", "backup_links": f"[ {THIRD[1]} ]"}


def start(primary: Heart, backup: Heart, text: str) -> None:
    """Start both with a configuration and wait until the primary is active."""
    for heart in (primary, backup):
        heart.config.write_text(text)
        heart.start()
    settle(primary, backup)


def links(heart: Heart) -> dict[str, bool]:
    """Give which links a heart says are up, by its partner's address."""
    return {link["partner"]: link["up"] for link in heart.state["links"]}


def test_one_link_that_carries_is_enough(three: Three) -> None:
    net, primary, backup = three
    start(primary, backup, config(**THREE_LINKS))
    theirs = (PUBLIC[1], PRIVATE[1], THIRD[1])
    before = len(backup.events)
    for whole in CABLES:
        cut = "".join(path for path in CABLES if path != whole)
        net.cut(0, paths=cut)
        pause(3 * DEADTIME, primary, backup)
        expected = {address: path == whole for address, path in zip(theirs, CABLES, strict=True)}
        assert links(primary) == expected
        assert peer(primary) == "standby"
        assert peer(backup) == "active"
        for address, up in expected.items():
            said = [text for text in primary.state["problems"] if address in text]
            assert bool(said) != up, "each dead link is told, and only these"
        net.cut(0, up=True, paths=cut)
        primary.until(lambda: all(links(primary).values()))
    settle(primary, backup)
    assert not [text for text in backup.events[before:] if "takes the virtual" in text]
    net.cut(0)
    backup.until(lambda: backup.is_("active"), DEADTIME + 2)


@pytest.fixture
def monitoring(three: Three) -> Three:
    """Two hearts that watch the links of the virtual addresses."""
    _net, primary, backup = three
    start(primary, backup, config(monitor_links=1))
    return three


def test_a_router_without_a_link_hands_over_at_once(monitoring: Three) -> None:
    net, primary, backup = monitoring
    with Pings(net.client) as pings:
        pause(0.7, primary, backup)
        moment = time.monotonic()
        net.cut(0, paths="a")
        backup.until(lambda: backup.is_("active"), AT_ONCE)
        pause(0.5, primary, backup)
        gap = pings.gap(moment)
    print(f"link of the addresses lost: {gap:.3f} s without an answer")
    assert gap < AT_ONCE
    assert primary.is_("fault")
    assert primary.holds() == set()
    assert backup.holds() == ALL
    primary.until(lambda: any("eth0 has no link" in text for text in primary.state["problems"]))
    net.cut(0, up=True, paths="a")
    settle(backup, primary)
    pause(2 * DEADTIME, primary, backup)
    settle(backup, primary)


def test_without_monitoring_only_silence_counts(settled: Three) -> None:
    net, primary, backup = settled
    net.cut(0, paths="a")
    pause(2 * DEADTIME, primary, backup)
    assert primary.is_("active")
    assert backup.is_("standby")


def test_a_standby_without_a_link_takes_nothing(monitoring: Three) -> None:
    net, primary, backup = monitoring
    net.cut(1, paths="b")
    backup.until(lambda: backup.is_("fault"))
    primary.until(lambda: peer(primary) == "fault")
    net.cut(0, paths="a")
    pause(2 * DEADTIME, primary, backup)
    assert primary.is_("active"), "nobody else could do better"
    assert backup.holds() == set()
    net.cut(1, up=True, paths="b")
    backup.until(lambda: backup.is_("active"), DEADTIME)
    assert primary.holds() == set()


def test_the_link_of_an_address_comes_back_and_it_is_announced(settled: Three) -> None:
    """As when a switch was replaced: it knows nobody, and the neighbours look elsewhere."""
    net, primary, _backup = settled
    pause(6, primary)  # the rounds after the takeover are over
    with Pings(net.client, VIRTUAL) as pings:
        net.cut(0, paths="a")
        pause(0.3, primary)
        ip("-n", net.client, "neighbour", "replace", VIRTUAL, "lladdr", "02:00:00:00:00:99",
           "dev", "eth0", "nud", "reachable")  # fmt: skip
        net.cut(0, up=True, paths="a")
        moment = time.monotonic()
        pause(1.5, primary)
        assert pings.gap(moment) < 2, "the neighbour would keep the wrong one for half a minute"
