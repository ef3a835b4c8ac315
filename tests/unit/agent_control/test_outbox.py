# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a full link: all that happened in its order, of a state only the newest."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from piranha.control.link import Link
from piranha.control.outbox import Outbox
from piranha.lvsd.reporter import LinkReporter

DEATHS = 10_000


def told(outbox: Outbox) -> list[dict[str, Any]]:
    lines = []
    while (line := outbox.next()) is not None:
        lines.append(json.loads(line))
    return lines


def test_states_give_way_to_newer_ones_and_events_to_nothing() -> None:
    outbox = Outbox()
    assert not outbox
    for number in range(3):
        outbox.put({"event": {"level": "info", "text": str(number)}})
        outbox.put({"state": {"number": number}})
        outbox.put({"tick": number})
        outbox.put({"answer": number, "ok": True})
    assert outbox
    first, second, *rest = told(outbox)
    assert (first, second) == ({"tick": 2}, {"state": {"number": 2}})
    assert [next(iter(one)) for one in rest] == ["event", "answer"] * 3
    assert [one["answer"] for one in rest[1::2]] == [0, 1, 2]
    assert not outbox
    assert outbox.next() is None


def test_what_does_not_fit_is_counted_and_told() -> None:
    outbox = Outbox(most=1000)
    for number in range(100):
        outbox.put({"event": {"level": "info", "text": f"{number:10}"}})
    kept = told(outbox)
    last = kept.pop()["event"]
    assert 10 < len(kept) < 30
    assert last["level"] == "warning"
    assert f"that {100 - len(kept)} messages" in last["text"]
    outbox.put({"tick": 1})
    assert told(outbox) == [{"tick": 1}]


def test_ten_thousand_deaths_reach_a_pulse_that_was_busy() -> None:
    """Three times what the link and its socket hold, while nobody reads."""

    async def tell() -> list[dict[str, Any]]:
        ours, theirs = socket.socketpair()
        reporter = LinkReporter(Link(ours), asyncio.Event())
        for number in range(DEATHS):
            text = f"real server s{number} is DOWN: connection refused; removed"
            reporter.event({"level": "warning", "text": text, "number": number})
            if number % 100 == 0:
                reporter.tick(number)
                reporter.state({"down": number})
        reporter.state({"down": DEATHS})
        pulse = Link(theirs)
        heard: list[dict[str, Any]] = []
        while not any(one.get("event", {}).get("number") == DEATHS - 1 for one in heard[-9:]):
            await asyncio.sleep(0)
            heard += pulse.receive()
        reporter.event({"level": "info", "text": "later"})
        heard += pulse.receive()
        pulse.close()
        ours.close()
        return heard

    heard = asyncio.run(asyncio.wait_for(tell(), 60))
    events = [one["event"] for one in heard if "event" in one]
    assert [one["number"] for one in events[:-1]] == list(range(DEATHS))
    assert events[-1]["text"] == "later"
    states = [one["state"]["down"] for one in heard if "state" in one]
    assert states[-1] == DEATHS
    assert states == sorted(states)
    assert len(states) < DEATHS / 100  # those that were overtaken were not sent
