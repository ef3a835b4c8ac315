# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd with too few servers, with a server forced up, and with one that starts slowly."""

from __future__ import annotations

import asyncio

from piranha.lvsd.daemon import Daemon

from .daemon_lab import Lab, shown


def test_too_few_are_kept_open_and_shouted_about(lab: Lab) -> None:
    lab.write("    quorum = 2\n    fail_open = 1", weight=5)

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 5, 1: 5})
        lab.backends[1].stop()
        while not lab.ears.texts("quorum"):
            await asyncio.sleep(0.01)
        assert lab.weights() == {0: 5, 1: 5}
        (one,) = shown(daemon)
        assert (one["pool"], one["well"], one["in_service"]) == ("open", 1, 2)
        assert one["servers"][1]["state"] == "DOWN"
        assert one["servers"][1]["reason"].startswith("kept by fail_open; connection refused")
        daemon.override({"server": "s1", "mode": "disabled"})
        assert lab.weights() == {0: 5}
        daemon.override({"server": "s1", "mode": "enabled"})
        lab.backends[1].start()
        while not lab.ears.texts("quorum again"):
            await asyncio.sleep(0.01)

    lab.run(story)
    levels = [event["level"] for event in lab.ears.events if "pool" in event]
    assert levels == ["crit", "notice"]
    (text,) = lab.ears.texts("kept in service")
    assert "is DOWN: connection refused; kept in service with weight 5 by fail_open" in text


def test_a_server_forced_up_serves_until_it_is_taken_back(lab: Lab) -> None:
    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        lab.backends[1].stop()
        await lab.until({0: 1})
        daemon.override({"server": "s1", "mode": "forced_up", "reason": "I know better"})
        assert lab.weights() == {0: 1, 1: 1}
        state = shown(daemon)[0]["servers"][1]
        assert (state["state"], state["health"]) == ("UP", "DOWN")
        assert state["reason"] == "forced up by root (I know better); connection refused"
        daemon.override({"server": "s1", "mode": "enabled"})
        assert lab.weights() == {0: 1}

    lab.run(story)


def test_slow_start_goes_on_through_a_reload(lab: Lab) -> None:
    lab.write("    slow_start = 2", weight=100)

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 100, 1: 100})
        lab.backends[1].stop()
        await lab.until({0: 100})
        lab.backends[1].start()
        seen = [100]
        reloaded = False
        while seen[-1] < 100 or len(seen) == 1:
            now = lab.weights().get(1)
            if now is not None and now != seen[-1]:
                seen.append(now)
            if len(seen) == 4 and not reloaded:
                reloaded = True
                assert daemon.reload() == []
                assert lab.weights()[1] in (now, seen[-1] + 10)
            await asyncio.sleep(0.01)
        assert seen[1] == 10
        assert seen[1:] == sorted(seen[1:])
        assert len(seen) > 6

    lab.run(story)
