# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor over its real socket, with a pulse made for the test behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from piranha.control.client import Unreachable
from piranha.control.protocol import Request
from piranha.control.server import ControlServer, Refusal
from piranha.editing import door
from piranha.editing.desk import Desk, Places
from piranha.editing.door import Editor, House, manners
from piranha.editing.preview import digest_of
from piranha.gui import protocol
from piranha.gui.protocol import EDIT, OPERATE, REQUESTS, ROLES, VIEW
from piranha.pulse.journal import Log

from .files import TEXT

Work = Callable[["Client"], Awaitable[None]]


class Client:
    """Asks as the page does, one connection; `logged` gives the audit lines so far."""

    def __init__(self, folder: Path, pulse: ControlServer) -> None:
        self.folder, self.pulse = folder, pulse
        self.asked: list[Request] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(
            str(self.folder / "run/gui.sock"), limit=64 * 1024 * 1024
        )

    async def raw(self, line: bytes) -> dict[str, Any]:
        reader, writer = await self.open()
        writer.write(line + b"\n")
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(reader.readline(), 20))
        writer.close()
        return answer

    async def ask(self, do: str, role: str = EDIT, **more: object) -> dict[str, Any]:
        by = {"user": "ann", "role": role}
        return await self.raw(json.dumps({"id": 1, "do": do, "by": by, **more}).encode())

    def logged(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


def living(
    folder: Path, work: Work, ceiling: str = EDIT, trusted: frozenset[int] = frozenset({0})
) -> None:
    """Run work beside an editor and a pulse that says yes."""

    async def run() -> None:
        (folder / "history").mkdir()
        (folder / "run").mkdir()
        (folder / "lvs.cf").write_text(TEXT)
        (folder / "gui.json").write_text(json.dumps({"ceiling": ceiling}))
        pulse = ControlServer(folder / "run/control.sock", {})
        client = Client(folder, pulse)

        async def yes(request: Request) -> dict[str, Any]:
            client.asked.append(request)
            if request.arguments.get("server") == "absent":
                raise Refusal("lvsd: no real server is called absent")
            return ANSWERS.get(request.do, {})

        asked = ("status", "reload", "override", "switchover", "check", "servers")
        pulse._handlers = dict.fromkeys(asked, yes)
        await pulse.start()
        descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        house = House(
            folder / "run",
            folder / "lvs.cf",
            folder / "gui.json",
            folder / "history",
            os.getuid(),
            trusted,
        )
        places = Places(house.config, folder / "run/lvs.cf", house.history)
        editor = Editor(house, Desk(places, lambda: []), Log(descriptor, plain=False))
        server = ControlServer(folder / "run/gui.sock", editor.handlers(), manners(house.page_uid))
        await server.start()
        listening = asyncio.create_task(editor.feed.listen())
        try:
            await work(client)
        finally:
            listening.cancel()
            server.stop()
            pulse.stop()
            os.close(descriptor)

    asyncio.run(run())


ANSWERS: dict[str, dict[str, Any]] = {
    "status": {"host": "r1", "lvsd": {"virtual": [{"name": 'a "wéb"'}, {"servers": []}], "n": 1}},
    "override": {
        "servers": [
            {
                "virtual": "web",
                "server": "one",
                "address": "192.0.2.11:80",
                "before": {"mode": "enabled", "weight": 1, "weight_is": "configured"},
                "after": {"mode": "drained", "weight": 0, "weight_is": "configured"},
                "changed": True,
            }
        ]
    },
}


def test_no_role_and_no_ceiling_is_gone_beyond(tmp_path: Path) -> None:
    """Whatever the page says of who is logged in, each request needs what the table says."""

    async def work(client: Client) -> None:
        for ceiling in ROLES:
            (client.folder / "gui.json").write_text(json.dumps({"ceiling": ceiling}))
            for role in ROLES:
                for do, (needed, _help) in REQUESTS.items():
                    answer = await client.ask(do, role)
                    reach = min(ROLES.index(role), ROLES.index(ceiling))
                    forbidden = answer.get("code") == protocol.FORBIDDEN
                    assert forbidden == (reach < ROLES.index(needed)), (do, role, ceiling, answer)
        assert not [one for one in client.asked if one.do != "status"]
        assert (client.folder / "lvs.cf").read_text() == TEXT

    living(tmp_path, work)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b'{"id": 1}',
        b'{"id": 1, "do": "write"}',
        b'{"id": 1, "do": ["write"], "by": {"user": "a", "role": "edit"}}',
        b'{"id": 1, "do": "override", "by": {"user": "a", "role": "edit"}}',
        b'{"id": 1, "do": "config", "by": "root"}',
        b'{"id": 1, "do": "config", "by": {"user": "", "role": "edit"}}',
        b'{"id": 1, "do": "config", "by": {"user": "a\\nb", "role": "edit"}}',
        b'{"id": 1, "do": "config", "by": {"user": "a", "role": "root"}}',
        b'{"id": 1, "do": "old", "by": {"user": "a", "role": "edit"}, "number": "../../x"}',
        b'{"id": 1, "do": "old", "by": {"user": "a", "role": "edit"}, "number": -1}',
        b'{"id": 1, "do": "order", "by": {"user": "a", "role": "edit"}, "order": "stop"}',
        b'{"id": 1, "do": "order", "by": {"user": "a", "role": "edit"}, "order": "drain"}',
        b'{"id": 1, "do": "order", "by": {"user": "a", "role": "edit"}, "order": "weight",'
        b' "server": "one", "value": true}',
        b'{"id": 1, "do": "check_now", "by": {"user": "a", "role": "edit"}, "virtual": "--help"}',
        b'{"id": 1, "do": "events", "by": {"user": "a", "role": "edit"}, "wait": "long"}',
        b'{"id": 1, "do": "write", "by": {"user": "a", "role": "edit"}, "digest": 1, "text": 2}',
        b'{"id": 1, "do": "write", "by": {"user": "a", "role": "edit"}, "digest": "", "text": "",'
        b' "why": "two\\u2028lines"}',
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path, line: bytes) -> None:
    async def work(client: Client) -> None:
        answer = await client.raw(line)
        assert answer["ok"] is False
        assert len(answer["error"]) > 10
        assert "Traceback" not in answer["error"]
        assert client.asked == []

    living(tmp_path, work)


def test_a_change_and_an_order_leave_their_names_in_the_log_and_the_events(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        text = TEXT.replace("192.0.2.12", "192.0.2.13")
        told = await client.ask("write", digest=digest_of(TEXT), text=text, why="one moved")
        assert told["result"]["serial"] == 8
        told = await client.ask(
            "order", OPERATE, order="drain", server="one", virtual="web", why="disk"
        )
        assert told["result"]["words"] == [
            "web: one 192.0.2.11:80 is drained with weight 0 (was enabled with weight 1)"
        ]
        (asked,) = [one for one in client.asked if one.do == "override"]
        assert asked.arguments == {
            "server": "one",
            "virtual": "web",
            "mode": "drained",
            "weight": None,
            "reason": "disk",
            "by": "ann (page)",
        }
        await client.ask("login", VIEW, event="failed", address="192.0.2.99")
        assert client.logged() == [
            "<5>page: ann (edit) changed lvs.cf (serial_no 8, history 1) because: one moved",
            "<5>page: ann (operate) ordered: web: one 192.0.2.11:80 is drained with weight 0"
            " (was enabled with weight 1) because: disk",
            "<4>page: ann (view) could not log in from 192.0.2.99",
        ]
        events = (await client.ask("events", VIEW, after=0))["result"]
        assert [
            f"<{'5' if one['level'] == 'notice' else '4'}>{one['text']}" for one in events["events"]
        ] == client.logged()
        refused = await client.ask("order", OPERATE, order="drain", server="absent")
        assert (refused["code"], refused["error"]) == (
            protocol.REFUSED,
            "lvsd: no real server is called absent",
        )

    living(tmp_path, work)


def test_events_of_pulse_are_numbered_and_waited_for(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        begin = (await client.ask("events", VIEW))["result"]["last"]
        waiting = asyncio.create_task(client.ask("events", VIEW, after=begin, wait=20))
        while not any(one.listening for one in client.pulse.connections):
            await asyncio.sleep(0.01)
        client.pulse.publish({"time": 1.0, "level": "info", "from": "heart", "text": "active"})
        result = (await waiting)["result"]
        assert [one["text"] for one in result["events"]] == ["active"]
        assert result["last"] == result["events"][0]["number"] == begin + 1
        nothing = await client.ask("events", VIEW, after=result["last"], wait=0.05)
        assert nothing["result"] == {"events": [], "last": result["last"]}

    living(tmp_path, work)


def test_a_viewer_that_never_reads_holds_nobody_up(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        _reader, writer = await client.open()
        by = {"user": "ann", "role": "view"}
        for number in range(2000):
            asked = {"id": number, "do": "config", "by": by}
            writer.write(json.dumps(asked).encode() + b"\n")
        for _unused in range(3):
            answer = await client.ask("status", VIEW)
            assert answer["result"] == ANSWERS["status"]
        assert len([one for one in client.asked if one.do == "status"]) == 1  # one serves all
        writer.transport.abort()

    living(tmp_path, work)


def test_without_pulse_it_is_said_and_the_file_can_be_seen(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        client.pulse.stop()
        answer = await client.ask("status", VIEW)
        assert answer["code"] == protocol.UNAVAILABLE
        assert "systemctl start piranha-pulse" in answer["error"]
        assert (await client.ask("config", VIEW))["result"]["text"] == TEXT
        assert "piranha_up 0" in (await client.ask("metrics", VIEW))["result"]["text"]

    living(tmp_path, work)


def test_a_pulse_that_does_not_answer_is_waited_for_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def ask(_socket: Path, do: str, _arguments: object) -> dict[str, Any]:
        tried.append(do)
        time.sleep(0.2)
        raise Unreachable("pulse did not answer")

    monkeypatch.setattr(door, "ask", ask)

    async def work(client: Client) -> None:
        answers = await asyncio.gather(*(client.ask("status", VIEW) for _unused in range(10)))
        assert {one["error"] for one in answers} == {"pulse did not answer"}

    living(tmp_path, work)
    assert tried == ["status"]


def test_settings_that_are_broken_open_nothing(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        for text in ("{", "[]", '{"ceiling": "all"}', '{"ceilling": "edit"}', '{"port": "x"}'):
            (client.folder / "gui.json").write_text(text)
            for do in ("status", "write", "order"):
                answer = await client.ask(do)
                assert answer["code"] == protocol.UNAVAILABLE
                assert "gui.json" in answer["error"]
        assert client.asked == []

    living(tmp_path, work)


def test_only_the_pages_user_and_root_may_connect() -> None:
    assert manners(990).welcome(0) is None
    assert manners(990).welcome(990) is None
    assert "may not ask the editor" in str(manners(990).welcome(1000))
    assert "may not ask the editor" in str(manners(None).welcome(990))


def test_who_may_not_connect_is_told_and_heard_no_further(tmp_path: Path) -> None:
    async def refused() -> None:
        heard: list[Request] = []

        async def handler(request: Request) -> dict[str, Any]:
            heard.append(request)
            return {}

        strict = replace(manners(None), welcome=lambda _uid: "not you")
        server = ControlServer(tmp_path / "other.sock", {"config": handler}, strict)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "other.sock"))
        writer.write(b'{"id": 1, "do": "config", "by": {"user": "a", "role": "view"}}\n')
        answer = json.loads(await reader.readline())
        assert (answer["ok"], answer["error"]) == (False, "not you")
        with contextlib.suppress(ConnectionResetError):  # what we sent was not even read
            assert await reader.read() == b""
        server.stop()
        assert heard == []

    asyncio.run(refused())
