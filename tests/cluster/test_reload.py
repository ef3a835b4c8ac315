# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of the file that concerns the heart changes by reload, on either router. Hearts alone."""

from __future__ import annotations

import contextlib
import time

import pytest
from piranha.net.watch import Watch

from tests.cluster.heart_lab import (
    ALL,
    DEADTIME,
    GATEWAY,
    OTHER_KEY,
    PUBLIC,
    THIRD,
    VIRTUAL,
    VIRTUAL6,
    Heart,
    Net,
    config,
    inside,
    pause,
    peer,
    settle,
)

Three = tuple[Net, Heart, Heart]


def reload(heart: Heart, text: str) -> None:
    """Give a heart another file."""
    heart.config.write_text(text)
    answer = heart.ask("reload")
    assert answer["ok"] is True, answer


def held(heart: Heart) -> dict[str, str]:
    """Give the interface of each address that a heart's kernel has."""
    names = {one.index: one.name for one in heart.kernel.interfaces()}
    return {str(entry.address): names[entry.index] for entry in heart.kernel.addresses()}


def takeovers(heart: Heart, since: int = 0) -> list[str]:
    """Give the events by which a router took the addresses or let go of them."""
    return [text for text in heart.events[since:] if "->" in text]


def test_only_what_changed_is_touched(settled: Three) -> None:
    net, primary, backup = settled
    text = primary.config.read_text()
    new = "192.0.2.150"
    with contextlib.closing(inside(net.routers[0], Watch)) as watch:
        reload(primary, text.replace(VIRTUAL6, new))
        changes = watch.changes()
        assert {str(address) for address in changes.gone} == {VIRTUAL6}
        assert new in held(primary)
        reload(primary, text.replace(VIRTUAL6, f"{new} eth1:1\n#"))
        assert {str(address) for address in watch.changes().gone} == {new}
        assert held(primary)[new] == "eth1", "another device"
        reload(primary, text)
        assert {str(address) for address in watch.changes().gone} == {new}
    assert primary.holds() == ALL
    settle(primary, backup)


def test_the_partner_tells_of_a_difference_until_it_is_gone(settled: Three) -> None:
    _net, primary, backup = settled
    text = primary.config.read_text()
    reload(primary, text.replace(VIRTUAL6, "2001:db8::101"))
    for heart, other in ((primary, PUBLIC[1]), (backup, PUBLIC[0])):
        said = f"on {other} differ"
        heart.until(lambda h=heart, s=said: any(s in t for t in h.state["problems"]))  # type: ignore[misc]
        assert heart.state["digest"] != heart.state["peer"]["digest"]
        logged = [text for text in heart.events if "differ" in text]
        assert len(logged) == 1, "once, however long it lasts"
    reload(backup, primary.config.read_text())
    for heart in (primary, backup):
        heart.until(lambda h=heart: h.state["problems"] == [])  # type: ignore[misc]


def test_intervals_of_both_change_while_they_run(settled: Three) -> None:
    net, primary, backup = settled
    for heart in (backup, primary):
        reload(heart, config(keepalive=1, deadtime=4))
    settle(primary, backup)
    net.cut(0)
    pause(DEADTIME + 0.5, primary, backup)
    assert backup.is_("standby"), "the dead time is longer now"
    backup.until(lambda: backup.is_("active"), 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"heartbeat_port": 1539},
        {"primary_links": f"[ {THIRD[0]} ]", "backup_links": f"[ {THIRD[1]} ]"},
        {"heartbeat_key_file": "/proc/self/cwd/other.key"},
    ],
    ids=["port", "links", "key file"],
)
def test_paths_and_keys_of_both_change_without_a_takeover(
    settled: Three, changes: dict[str, object]
) -> None:
    net, primary, backup = settled
    for heart in (primary, backup):
        other = heart.folder / "other.key"
        other.touch(mode=0o600)
        other.write_text(OTHER_KEY)
    before = len(primary.events), len(backup.events)
    for heart in (backup, primary):
        reload(heart, config(**changes))
    pause(2 * DEADTIME, primary, backup)
    settle(primary, backup)
    assert takeovers(primary, before[0]) == []
    assert takeovers(backup, before[1]) == []
    if "primary_links" in changes:
        primary.until(lambda: len(primary.state["links"]) == 3)
        net.cut(0, paths="ab")
        pause(2 * DEADTIME, primary, backup)
        assert peer(backup) == "active", "the new path carries alone"
        net.cut(0, up=True, paths="ab")
    for heart in (backup, primary):
        reload(heart, config())
    pause(DEADTIME, primary, backup)
    settle(primary, backup)


def test_a_standby_that_reloaded_takes_over_what_it_read(settled: Three) -> None:
    """The original hung here, and never took over again."""
    net, primary, backup = settled
    text = config().replace(VIRTUAL6, "2001:db8::101")
    reload(backup, text)
    backup.config.write_text(text.replace("deadtime", "daedtime"))
    answer = backup.ask("reload")
    assert answer["ok"] is False
    assert "daedtime" in answer["error"]
    backup.config.write_text(text.replace(f"= {PUBLIC[1]}", "= 192.0.2.99"))
    assert backup.ask("reload")["ok"] is False
    settle(primary, backup)
    net.cut(0)
    begun = time.monotonic()
    primary.kill()
    backup.until(lambda: backup.is_("active"), DEADTIME + 2)
    print(f"active {time.monotonic() - begun:.2f} s after the power cut")
    assert {VIRTUAL, GATEWAY, "2001:db8::101"} <= set(held(backup))
    assert VIRTUAL6 not in held(backup)
