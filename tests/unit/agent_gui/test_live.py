# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent is asked once for all who look; each is told what changed, and costs nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from piranha.gui import cards, monitor_pages, views
from piranha.gui import live as module
from piranha.gui.access import Person
from piranha.gui.cards import Seen
from piranha.gui.graph import HEIGHT, KEPT, WIDTH, Series, path
from piranha.gui.live import Full, Live, message
from starlette.requests import Request
from starlette.responses import StreamingResponse

from .conftest import Login
from .fake import FakeBackend, server, status, virtual


def test_only_fields_that_changed_are_told() -> None:
    before = views.monitor(status(3, 2), 0.0)
    later = status(3, 2)
    later["lvsd"]["virtual"][1]["servers"][0] = server("rs00", 2, "DOWN", reason="refused")
    later["lvsd"]["virtual"][1]["in_service"] = 1
    found = views.changes(before.rows, views.monitor(later, 0.0).rows)
    assert found is not None
    [(_row, fields)] = found.items()
    assert fields == {
        "state": "DEGRADED", "tone": "warn", "serving": "1 of 2", "note": "DOWN: rs00"
    }


def test_rows_that_came_or_went_mean_to_begin_anew() -> None:
    before, after = views.monitor(status(3), 0.0), views.monitor(status(2), 0.0)
    assert views.changes(before.rows, after.rows) is None
    turned = tuple(reversed(before.rows))
    assert views.changes(before.rows, turned) is None


def test_many_who_look_ask_the_agent_once() -> None:
    backend = FakeBackend()

    async def run() -> None:
        live = Live(backend)
        await asyncio.gather(*(live.fresh() for _viewer in range(30)))

    asyncio.run(run())
    assert [do for do, _given, _by in backend.asked] == ["status"]


def test_a_slow_agent_is_asked_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend()

    async def run() -> None:
        live = Live(backend)
        await live.fresh()
        live.took = 0.5  # so ten seconds are the pause
        vars(live)["_read_at"] -= 6
        await live.fresh()
        assert len(backend.asked) == 1
        vars(live)["_read_at"] -= 6
        await live.fresh()

    asyncio.run(run())
    assert len(backend.asked) == 2


def test_thousands_of_events_do_not_have_a_slow_agent_read_without_a_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = FakeBackend()
    give = backend.ask

    async def slowly(do: str, *given: Any) -> Any:
        await asyncio.sleep(0.02)
        return await give(do, *given)

    monkeypatch.setattr(backend, "ask", slowly)

    async def run() -> None:
        live = Live(backend)
        task = asyncio.create_task(live.watch())
        for _event in range(100):
            vars(live)["_wake"].set()
            await asyncio.sleep(0.005)
        task.cancel()

    begin = time.monotonic()
    asyncio.run(run())
    assert 1 < len(backend.asked) <= 1 + (time.monotonic() - begin) / (0.02 * module.WOKEN)
    assert module.WOKEN >= 4


def test_viewers_hear_of_changes_and_of_servers_they_have_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SHORTEST", 0.01)
    backend = FakeBackend()
    own = views.identity(backend.status["lvsd"]["virtual"][0])

    async def run() -> dict[str, Any]:
        live = Live(backend)
        await live.fresh()
        shut, opened = live.enter([]), live.enter([own])
        task = asyncio.create_task(live.watch())
        await asyncio.sleep(0.05)
        servers = backend.status["lvsd"]["virtual"][0]["servers"]
        servers[0] = server("rs00", 0, "DOWN", reason="no route")
        heard: dict[str, Any] = {"shut": {}, "opened": {}}
        async with asyncio.timeout(5):
            while len(heard["opened"]) < 2:
                for name, viewer in (("shut", shut), ("opened", opened)):
                    while not viewer.queue.empty():
                        kind, data = viewer.queue.get_nowait()
                        if kind == "rows":
                            heard[name] |= data
                await asyncio.sleep(0.01)
        task.cancel()
        return heard

    heard = asyncio.run(run())
    assert list(heard["shut"]) == [own]
    [of_server] = [key for key in heard["opened"] if key != own]
    assert heard["opened"][of_server]["reason"] == "no route"


def test_what_somebody_else_read_meanwhile_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST", 0.01)
    backend = FakeBackend()

    async def run() -> str:
        live = Live(backend)
        task = asyncio.create_task(live.watch())
        await asyncio.sleep(0.05)
        viewer = live.enter([])
        while not viewer.queue.empty():
            viewer.queue.get_nowait()
        backend.status = status(3)
        await live.fresh(-1)
        async with asyncio.timeout(5):
            while (kind := (await viewer.queue.get())[0]) == "head":
                pass
        task.cancel()
        return kind

    assert asyncio.run(run()) == "again"


async def anew(live: Live) -> None:
    """Read, however short a time ago the agent was read."""
    vars(live)["_read_at"] = float("-inf")
    await live.fresh()


def told_to(viewer: module.Viewer) -> list[tuple[str, Any]]:
    return [viewer.queue.get_nowait() for _each in range(viewer.queue.qsize())]


def test_who_comes_gets_all_of_it_and_from_then_on_what_changes() -> None:
    """A page is older than its stream: it was made before, or the connection was away."""
    backend = FakeBackend()
    first = backend.status["lvsd"]["virtual"][0]
    own = views.identity(first)

    async def run() -> None:
        live = Live(backend)
        assert live.whole(live.enter([])) is None
        await live.fresh()
        viewer = live.enter([own, "sgone"])
        whole = live.whole(viewer)
        assert whole is not None
        assert [one["name"] for one in whole["rows"].values()] == ["shop-0000", "shop-0001"]
        assert [one["state"] for one in whole["servers"].values()] == ["UP", "UP"]
        first["servers"][0] = server("rs00", 0, "DOWN")
        await anew(live)
        rows = {key: data for kind, told in told_to(viewer) if kind == "rows"
                for key, data in told.items()}
        assert rows[next(iter(whole["servers"]))]["state"] == "DOWN"
        first["servers"].pop()
        await anew(live)
        assert ("again", {}) in told_to(viewer), "a server is gone from the list that is open"

    asyncio.run(run())


def test_when_the_agent_is_back_the_pages_are_told_all_of_it() -> None:
    backend = FakeBackend()

    async def run() -> None:
        live = Live(backend)
        await live.fresh()
        viewer = live.enter([])
        backend.gone = True
        await anew(live)
        assert told_to(viewer) == [("lost", {"why": "the agent does not answer"})]
        assert live.whole(viewer) is None
        backend.gone = False
        await anew(live)
        assert told_to(viewer) == [("head", None), ("all", None)]

    asyncio.run(run())


def test_a_stream_begins_with_all_of_it(login: Login) -> None:
    """Until it ends, since the person has logged out elsewhere."""
    client = login("vera")
    site = client.app.state.site  # type: ignore[attr-defined]
    cookie = client.cookies["__Host-piranha"]
    session = site.sessions.find(cookie)
    told = []

    async def run() -> None:
        scope = {"type": "http", "app": client.app, "path": "/live", "query_string": b"",
                 "headers": [], "piranha.person": Person("vera", "view"),
                 "piranha.session": session, "piranha.cookie": cookie}
        answer = await monitor_pages.live(Request(scope))
        assert isinstance(answer, StreamingResponse)
        async for one in answer.body_iterator:
            text = bytes(one).decode() if not isinstance(one, str) else one
            told.append(text.split("\n")[0])
            if told[-1] == "event: all":
                site.sessions.end(cookie)

    client.get("/")
    asyncio.run(run())
    assert told == ["event: hello", "event: all", "event: bye"]


def test_a_viewer_that_never_reads_keeps_little_and_is_told_to_begin_anew() -> None:
    live = Live(FakeBackend())
    viewer = live.enter([])
    for number in range(1000):
        viewer.tell("rows", {"s": {"rate": str(number)}})
    assert viewer.queue.qsize() <= module.QUEUE
    kinds = [viewer.queue.get_nowait()[0] for _each in range(viewer.queue.qsize())]
    assert "again" in kinds


def test_there_are_not_more_viewers_than_there_may_be() -> None:
    live = Live(FakeBackend())
    viewers = [live.enter([]) for _each in range(module.MOST_VIEWERS)]
    with pytest.raises(Full):
        live.enter([])
    live.leave(viewers[0])
    live.enter([])


def test_a_message_is_one_event_whatever_is_in_it() -> None:
    text = message("rows", {"s": {"reason": "a\n\nevent: evil\ndata: x"}}).decode()
    assert text.count("\n") == 3
    assert text.endswith("\n\n")
    kind, data = text.rstrip("\n").split("\n")
    assert kind == "event: rows"
    assert json.loads(data.removeprefix("data: "))["s"]["reason"].startswith("a\n\nevent")


def test_a_status_with_holes_is_shown_all_the_same() -> None:
    lvsd = {"virtual": [{}, {"servers": [{}]}]}
    for hollow in ({}, {"heart": None, "lvsd": None}, {"lvsd": lvsd}):
        monitor = views.monitor(hollow, 0.0)
        assert monitor.cards[0].state == "UNKNOWN"
    fos = {"fos": {"services": [{"name": "db", "state": "running"}]},
           "pulse": {"running": {"fos": True}}}
    assert views.monitor(fos, 0.0).rows[0].fields["state"] == "RUNNING"


def test_how_long_the_partner_is_what_it_is() -> None:
    """Heartbeats do not tell it; the page knows since when it has seen it."""

    def at(state: str | None, now: float, before: Seen) -> tuple[Seen, str]:
        told = status()
        told["heart"]["peer"] = None if state is None else {"state": state, "digest": "aabb"}
        found = cards.seen(told, before, now)
        facts = [fact for card in cards.cards(told, now + 60, found)[1:] for fact in card.facts]
        return found, next((fact.text for fact in facts if fact.title == "since"), "")

    first, said = at("standby", 1000.0, Seen())
    assert said == "at least 60 s"
    assert at("standby", 2000.0, first) == (first, "at least 18 min")
    turned, said = at("active", 3000.0, first)
    assert (turned.at, said) == (3000.0, "60 s")
    assert at(None, 4000.0, turned) == (Seen(), "")


def test_a_virtual_service_is_what_it_is_since_a_server_of_it_changed() -> None:
    old, new = server("a", 1, since=1000.0), server("b", 2, since=4000.0)
    assert views.service_row(virtual("v", 1, [old, new]), 4060.0).fields["age"] == "for 60 s"
    assert views.service_row(virtual("v", 1, []), 4060.0).fields["age"] == ""


def test_a_graph_keeps_the_last_points_and_leaves_gaps() -> None:
    series = Series()
    for number in range(KEPT + 5):
        series.add(float(number))
    assert series.values()[0] == 5.0
    series.add(None)
    assert series.values()[-1] is None
    drawn = path([0, 5, None, 10])
    assert drawn.count("M") == 2
    assert f"M{WIDTH} 1" in drawn
    assert f"M0 {HEIGHT - 1}" in drawn
    assert path([]) == path([None]) == ""
