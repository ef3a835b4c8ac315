# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real hearts: switchover, preempt, a changed key, and a restart while one direction is cut.

Needs root and network namespaces, no IPVS: runs natively as well as in the kernel of the lab.
"""

from __future__ import annotations

import signal
import time

import pytest

from tests.cluster.heart_lab import (
    ALL,
    DEADTIME,
    GOOD_KEY,
    KEEPALIVE,
    OTHER_KEY,
    PRIVATE,
    PUBLIC,
    Heart,
    Net,
    Pings,
    config,
    ip,
    pause,
    peer,
    settle,
)

AT_ONCE = (DEADTIME - KEEPALIVE) / 2
"""Seconds; whoever waits for silence needs at least twice that, and a virtual machine is slow."""
Three = tuple[Net, Heart, Heart]


def test_a_switchover_is_quick_and_leaves_a_standby_that_can_switch_back(settled: Three) -> None:
    net, primary, backup = settled
    refused = backup.ask("switchover")
    assert refused["ok"] is False
    assert refused["error"] == "this router is standby; ask the active one to switch over"
    with Pings(net.client) as pings:
        for giving, taking in ((primary, backup), (backup, primary)):
            pause(0.7, primary, backup)
            moment = time.monotonic()
            assert giving.ask("switchover")["ok"] is True
            taking.until(lambda h=taking: h.is_("active"), 2.0)  # type: ignore[misc]
            pause(0.5, giving, taking)
            settle(taking, giving)
            assert (giving.holds(), taking.holds()) == (set(), ALL)
            assert pings.gap(moment) < AT_ONCE
        pause(2 * DEADTIME, primary, backup)
        settle(primary, backup)


def test_a_switchover_to_nobody_is_refused(settled: Three) -> None:
    _net, primary, backup = settled
    backup.kill(signal.SIGKILL)
    backup.reap()
    primary.until(lambda: peer(primary) == "down", 5.0)
    answer = primary.ask("switchover")
    assert answer["ok"] is False
    assert "the partner is not heard" in answer["error"]
    assert primary.holds() == ALL


def test_a_primary_that_is_to_preempt_takes_the_addresses_back(three: Three) -> None:
    net, primary, backup = three
    for heart in (primary, backup):
        heart.config.write_text(config(preempt=1, preempt_delay="1s"))
    backup.start()
    backup.until(lambda: backup.is_("active"))
    with Pings(net.client) as pings:
        pause(0.7, backup)
        moment = time.monotonic()
        primary.start()
        primary.until(lambda: primary.is_("active"))
        assert time.monotonic() - moment > 1
        pause(0.5, backup, primary)
        settle(primary, backup)
        assert pings.gap(moment) < AT_ONCE


def test_a_key_is_changed_and_nobody_notices(settled: Three) -> None:
    _net, primary, backup = settled
    for text in (f"{GOOD_KEY}\n{OTHER_KEY}\n", f"{OTHER_KEY}\n{GOOD_KEY}\n", OTHER_KEY):
        for heart in (primary, backup):
            heart.key_file.write_text(text)
            assert heart.ask("reload")["ok"] is True
            pause(1.5 * DEADTIME, primary, backup)
            assert (primary.is_("active"), backup.is_("standby")) == (True, True)
            assert not primary.state["problems"] + backup.state["problems"]
    assert primary.state["keys"] == backup.state["keys"]
    assert len(primary.state["keys"]) == 1
    assert "key" not in primary.state["rejected"]


@pytest.mark.parametrize("again", ["speaker", "listener"])
def test_a_heart_is_started_again_while_one_direction_is_cut(settled: Three, again: str) -> None:
    """The backup hears the primary, which does not hear it: nobody may take over."""
    net, primary, backup = settled
    deaf = [PUBLIC[0], PRIVATE[0]]
    for address in deaf:
        ip("-n", net.routers[1], "route", "add", "prohibit", address)
    try:
        primary.until(lambda: peer(primary) == "down", 5.0)
        heart = primary if again == "speaker" else backup
        heart.kill(signal.SIGKILL)
        heart.reap()
        heart.start()
        pause(3 * DEADTIME, primary, backup)
        assert primary.is_("active")
        assert backup.is_("standby")
        assert peer(backup) == "active"
        assert backup.holds() == set()
    finally:
        for address in deaf:
            ip("-n", net.routers[1], "route", "del", "prohibit", address)
    settle(primary, backup)
