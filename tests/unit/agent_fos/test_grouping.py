# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of failover services: what the file says, what the heart says, and a whole fos of two."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
from piranha.commands.command import Command, Result
from piranha.core.lvs_cf import api
from piranha.fos import record
from piranha.fos.board import Board, Phase, Role
from piranha.fos.daemon import Daemon, FosReporter
from piranha.fos.grouping import grouped, roles, torn
from piranha.fos.settings import services
from piranha.lvsd.orders import Refused
from piranha.pulse.word import Word

WORD = {"running": False, "mending": False, "weak": False, "asks": False}
HEAD = "service = fos\nprimary = 192.0.2.1\nbackup = 192.0.2.2\nbackup_active = 1\n"


def block(name: str, group: str = "", last: int = 9, port: int = 10000) -> str:
    """Give a service that nothing checks: it runs as soon as its command has ended."""
    return f"""\
failover {name} {{
    active = 1
    address = 192.0.2.{last} eth0
    protocol = udp
    port = {port}
    {f"failover_group = {group}" if group else ""}
    start_cmd = "/bin/{name} start"
    stop_cmd = "/bin/{name} stop"
    stop_timeout = 4
}}
"""


WEB, MAIL = block("web"), block("mail", port=10001)
TEXT = HEAD + block("db", "data", 8) + WEB + MAIL


def findings(text: str) -> set[str]:
    return {found.code for found in api.load(text).findings}


def test_services_without_a_group_are_one_and_come_first() -> None:
    listed = grouped(services(api.load(TEXT).config))
    assert [(name, [str(one) for one in has]) for name, has in listed] == [
        ("", ["web", "mail"]),
        ("data", ["db"]),
    ]
    assert grouped(()) == [("", ())]
    (only,) = grouped(services(api.load(HEAD + block("db", "data")).config))
    assert only[0] == "data"


def test_the_file_is_refused_where_groups_cannot_be_kept_apart() -> None:
    assert not findings(TEXT) & {"E324", "E325"}
    assert "E324" in findings(TEXT.replace("192.0.2.8", "192.0.2.9"))
    assert "E325" in findings(TEXT.replace("failover_group = data", "failover_group = ../data"))
    many = HEAD + "".join(block(f"s{n}", f"g{n}", 10 + n) for n in range(65))
    assert "E325" in findings(many)
    lone = TEXT.replace("failover_group = data", "failover_group = data\n    critical = 0")
    assert "W321" in findings(lone), "nothing moves this group"
    virtual = "primary = 192.0.2.1\nvirtual v {\nactive = 1\nfailover_group = x\n}\n"
    assert "A302" in findings(virtual)


def test_the_heart_s_news_is_a_role_for_each_group() -> None:
    here = {"holding": True, "partner": "standby", "word": WORD}
    there = {"holding": False, "partner": "down", "word": None}
    read = roles({"partnered": True, "groups": {"": here, "data": there, "x": 1}})
    assert read == {
        "": Role(True, True, "standby", Word(running=False)),
        "data": Role(False, True, None, None),
    }
    assert roles({}) == {}


def test_services_change_their_group_only_where_both_are_on_one_router() -> None:
    old = dict(grouped(services(api.load(TEXT).config)))
    boards = {name: Board(listed, 0.0, name) for name, listed in old.items()}
    new = dict(grouped(services(api.load(TEXT.replace("failover_group = data", "")).config)))
    assert torn(new, boards) == ""
    boards["data"].role_now = Role(holding=True)
    told = torn(new, boards)
    assert told.startswith("group data and the group without a name are on different routers")
    assert torn(old, boards) == ""
    boards[""].role_now = Role(holding=True)
    assert torn(new, boards) == ""


class Hand:
    """A runner of which every command succeeds; `ran` has their names."""

    name, certain = "hand", True

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, command: Command) -> Result:
        self.ran.append(command.name)
        return Result(True, "succeeded")

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        return await self.run(command)

    async def finish(self, service: str, limit: float) -> None:
        """Nothing is left."""

    async def end(self, service: str) -> None:
        """Nothing is left."""


class Slow(Hand):
    """The same, but a command ends only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = asyncio.Event()

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        await self.may_end.wait()
        return await self.run(command)


class Voice:
    """fos' end of the link, as far as it is used here."""

    def __init__(self) -> None:
        self.requests: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self.told: list[str] = []
        self.last: dict[str, Any] = {}
        self.answers: list[str | None] = []
        self.stop: Callable[[object], None] = lambda _number: None

    def tick(self, _at: float) -> None:
        """fos lives."""

    def event(self, what: dict[str, Any]) -> None:
        self.told.append(str(what["text"]))

    def state(self, what: dict[str, Any]) -> None:
        self.last = what

    def answer(self, _number: object, error: str | None) -> None:
        self.answers.append(error)


class Fos:
    """A whole fos without its process. It begins as a standby of which nothing runs."""

    def __init__(self, folder: Path, text: str = TEXT, hand: Hand | None = None) -> None:
        self.file, self.folder = folder / "lvs.cf", folder
        self.file.write_text(text)
        self.hand, self.voice, self.ended = hand or Hand(), Voice(), asyncio.Event()
        reporter = cast(FosReporter, self.voice)
        self.daemon = Daemon(self.file, folder, reporter, self.hand, self.ended)
        self.daemon.start()

    async def role(self, **here: bool) -> None:
        """The heart says which groups are here; "_" stands for the one without a name."""
        groups = {
            name.replace("_", ""): {
                "holding": has,
                "partner": "standby" if has else "active",
                "word": WORD,
            }
            for name, has in here.items()
        }
        self.voice.requests["role"]({"partnered": True, "groups": groups})
        await self.rest()

    async def rest(self) -> None:
        """Let what is under way come to its end."""
        for _unused in range(100):
            await asyncio.sleep(0)

    def ask(self, do: str, **said: Any) -> dict[str, Any]:
        return self.voice.requests[do](said)

    def states(self) -> dict[str, str]:
        return {one["name"]: one["state"] for one in self.voice.last["services"]}

    def group(self, name: str) -> dict[str, Any]:
        listed: list[dict[str, Any]] = self.voice.last["groups"]
        return next(one for one in listed if one["name"] == name)


def played(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def test_one_group_runs_here_and_the_other_does_not(tmp_path: Path) -> None:
    async def play() -> None:
        fos = Fos(tmp_path)
        await fos.role(_=True, data=False)
        assert fos.states() == {"web": "running", "mail": "running", "db": "stopped"}
        assert fos.group("")["word"]["running"]
        assert not fos.group("data")["word"]["running"]
        await fos.role(_=True, data=True)
        assert set(fos.states().values()) == {"running"}
        answer = fos.ask("move", why="anna asks", group="data")
        assert answer == {"groups": ["data"], "limit": 9.0, "refused": []}
        await fos.rest()
        assert fos.states() == {"web": "running", "mail": "running", "db": "stopped"}
        assert (fos.group("data")["released"], fos.group("data")["asked"]) == ("anna asks", True)
        assert fos.group("")["released"] == ""
        await fos.role(_=True, data=False)
        assert fos.group("data")["moving"] == "", "it has gone"
        with pytest.raises(Refused, match="does not have the virtual addresses"):
            fos.ask("move", group="data")
        with pytest.raises(Refused, match="there is no group dta; there are: data"):
            fos.ask("move", group="dta")
        assert fos.ask("move")["groups"] == [""], "all that is here"
        await fos.rest()
        assert set(fos.states().values()) == {"stopped"}

    played(play)


def test_a_reload_regroups_what_is_on_one_router_and_stops_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        fos = Fos(tmp_path)
        await fos.role(_=True, data=False)
        fos.file.write_text(TEXT.replace("failover_group = data", ""))
        with pytest.raises(Refused, match="are on different routers"):
            fos.ask("reload")
        assert [one["name"] for one in fos.voice.last["groups"]] == ["", "data"]
        await fos.role(_=True, data=True)
        before = list(fos.hand.ran)
        fos.ask("reload")
        await fos.role(_=True)
        assert set(fos.states().values()) == {"running"}
        assert [one["name"] for one in fos.voice.last["groups"]] == [""]
        fos.file.write_text(TEXT.replace("failover_group = data", "failover_group = other"))
        fos.ask("reload")
        await fos.role(_=True, other=True)
        assert {one["group"] for one in fos.voice.last["services"]} == {"", "other"}
        assert fos.hand.ran == before, "no service was touched"
        fos.file.write_text(HEAD + WEB + MAIL)
        fos.ask("reload")
        await fos.rest()
        assert fos.hand.ran[len(before) :] == ["stop db"], "what is no longer there is stopped"

    played(play)


def test_a_command_under_way_counts_in_the_group_that_its_service_has_come_to(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        hand = Slow()
        fos = Fos(tmp_path, hand=hand)
        await fos.role(_=True, data=True)
        assert fos.states()["db"] == "starting"
        fos.file.write_text(TEXT.replace("failover_group = data", "failover_group = other"))
        fos.ask("reload")
        await fos.role(_=True, other=True)
        hand.may_end.set()
        await fos.rest()
        assert set(fos.states().values()) == {"running"}
        assert hand.ran.count("start db") == 1

    played(play)


def test_all_groups_stop_before_fos_does_and_the_next_one_finds_their_services(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        fos = Fos(tmp_path)
        await fos.role(_=True, data=True)
        assert {one.service.group for one in record.read(tmp_path)} == {"", "data"}
        heir = Fos(tmp_path)
        await heir.role(_=True, data=True)
        assert heir.hand.ran == [], "all of it was adopted"
        assert set(heir.states().values()) == {"running"}
        heir.voice.stop(1)
        await heir.rest()
        assert heir.voice.answers == [None]
        assert heir.ended.is_set()
        assert {one.phase for one in record.read(tmp_path)} == {Phase.STOPPED}

    played(play)
