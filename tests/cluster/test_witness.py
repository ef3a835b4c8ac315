# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut links with a third machine to ask: who is cut off waits, and the other one serves.

Hearts alone, in network namespaces; the witness is the client.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import heart_lab
from tests.cluster.heart_lab import (
    ALL,
    Heart,
    Net,
    ip,
    pause,
    peer,
    settle,
)

Three = tuple[Net, Heart, Heart]
CLIENT, CLIENT6 = "192.0.2.50", "2001:db8::50"
KEEPALIVE, DEADTIME = 0.2, 0.6
SOON = DEADTIME + KEEPALIVE + 1.5
"""Seconds; a machine that is busy is late."""


def config(**changes: object) -> str:
    return heart_lab.config(keepalive=KEEPALIVE, deadtime=DEADTIME, **changes)


def start(primary: Heart, backup: Heart, text: str) -> None:
    for heart in (primary, backup):
        heart.config.write_text(text)
        heart.start()
    settle(primary, backup)


def witnesses(heart: Heart) -> dict[str, bool]:
    """Give which witnesses a heart says are there, by their addresses."""
    return {str(one["address"]): one["up"] for one in heart.state.get("witnesses") or ()}


def problems(heart: Heart) -> str:
    return " ".join(heart.state.get("problems") or ())


@pytest.fixture
def gateway(net: Net) -> Iterator[str]:
    """The client as the default gateway of both routers."""
    for name in net.routers:
        ip("-n", name, "route", "replace", "default", "via", CLIENT)
    yield CLIENT
    for name in net.routers:
        ip("-n", name, "route", "replace", "unreachable", "default")
        ip("-n", name, "route", "del", "unreachable", "default")


def test_who_is_cut_off_waits_and_the_other_one_serves(gateway: str, three: Three) -> None:
    net, primary, backup = three
    start(primary, backup, config())
    assert witnesses(backup) == {}
    for heart in (primary, backup):
        heart.config.write_text(config(witness="gateway"))
        assert heart.ask("reload")["ok"]
    backup.until(lambda: witnesses(backup) == {gateway: True})
    net.cut(1)
    backup.until(lambda: "neither" in problems(backup), SOON)
    pause(DEADTIME, primary, backup)
    assert backup.is_("standby")
    assert backup.holds() == set()
    assert primary.is_("active")
    said = [text for text in backup.events if "neither partner nor witness" in text]
    assert said == [
        "neither partner nor witness is heard: this router does not take the virtual addresses,"
        " since it seems to be cut off"
    ], "once, however long it lasts"
    net.cut(1, up=True)
    settle(primary, backup)
    backup.until(lambda: "neither" not in problems(backup))

    net.cut(0)
    backup.until(lambda: backup.is_("active"), SOON)
    assert backup.holds() == ALL
    assert primary.holds() == ALL, "it cannot know; nobody reaches it"
    net.cut(0, up=True)
    settle(primary, backup)


def test_without_a_witness_that_answers_nobody_takes_over(three: Three) -> None:
    net, primary, backup = three
    start(primary, backup, config(witness=f"[ {CLIENT} {CLIENT6} ]"))
    backup.until(lambda: witnesses(backup) == {CLIENT: True, CLIENT6: True})
    ip("-n", net.client, "link", "set", "eth0", "down")
    try:
        primary.kill()
        backup.until(lambda: peer(backup) == "down", SOON)
        pause(DEADTIME, backup)
        assert backup.is_("standby")
        backup.until(lambda: f"the witness {CLIENT} does not answer" in problems(backup))
        assert not any(witnesses(backup).values())
    finally:
        ip("-n", net.client, "link", "set", "eth0", "up")
    ip("-n", net.client, "address", "replace", f"{CLIENT6}/64", "dev", "eth0", "nodad")
    backup.until(lambda: backup.is_("active"), SOON)
    assert backup.holds() == ALL
