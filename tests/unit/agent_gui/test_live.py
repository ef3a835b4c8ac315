# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent is asked once for all who look; each is told what changed, and costs nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from piranha.gui import live as module
from piranha.gui import views
from piranha.gui.graph import HEIGHT, KEPT, WIDTH, Series, path
from piranha.gui.live import Full, Live, message

from .fake import FakeBackend, server, status


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
