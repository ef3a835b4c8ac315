# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules come before the table, go after it, and come back; with a model for a firewall."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from piranha.marks.keeper import READ_AGAIN, TRY_AGAIN, Keeper
from piranha.marks.programs import Failed
from piranha.marks.rules import NOTHING, Found, Rules, marked

SHOP = marked(7, "192.0.2.100", "tcp", (80, 443))
MAIL = marked(8, "192.0.2.101", "tcp", (25,))


class Model:
    """A back end whose firewall is a set. refusal: what every program answers while set."""

    def __init__(self, name: str = "nft") -> None:
        self.name = name
        self.rules: Rules = NOTHING
        self.whole = True
        self.generation = 0
        self.refusal: str | None = None
        self.writes_refused: str | None = None
        self.blind = False
        self.runs = 0
        self.history: list[Rules] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self) -> Found:
        self.runs += 1
        await self.gate.wait()
        if self.refusal:
            raise Failed(self.refusal)
        return Found(
            self.rules, self.whole, str((sorted(self.rules), self.whole)) if self.rules else ""
        )

    async def write(self, rules: Rules) -> None:
        self.runs += 1
        await self.gate.wait()
        if refusal := self.refusal or self.writes_refused:
            raise Failed(refusal)
        self.change(rules)

    async def remove(self) -> None:
        await self.write(NOTHING)

    def look(self) -> object:
        return None if self.blind else self.generation

    def change(self, rules: Rules, *, whole: bool = True) -> None:
        """Somebody, maybe the keeper, changes the firewall."""
        self.rules, self.whole = rules, whole
        self.generation += 1
        self.history.append(rules)


class Lab:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1000.0
        self.events: list[tuple[str, str]] = []
        self.ready = 0
        self.models = [Model(), Model("iptables-legacy")]
        self.keeper = self.start()

    @property
    def model(self) -> Model:
        return self.models[0]

    def start(self) -> Keeper:
        """A keeper as after a restart of lvsd: only the file and the firewall are as they were."""
        self.keeper = Keeper(
            self.folder,
            lambda *event: self.events.append(event),
            lambda: self.models,
            lambda: self.now,
        )
        return self.keeper

    def told(self, level: str) -> list[str]:
        return [text for one, text in self.events if one == level]

    def called(self) -> None:
        self.ready += 1

    async def rest(self) -> None:
        """Let everything happen that is under way."""
        for _unused in range(50):
            await asyncio.sleep(0)

    async def have(self, rules: Rules) -> None:
        """A whole reload."""
        self.keeper.want(rules, self.called)
        await self.rest()
        self.keeper.settle()
        await self.rest()


def run(story: Callable[[Lab], Awaitable[None]], folder: Path) -> Lab:
    async def whole() -> Lab:
        lab = Lab(folder)
        await story(lab)
        await lab.keeper.stop()
        return lab

    return asyncio.run(whole())


def test_without_marks_no_program_ever_runs(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        assert not lab.keeper.want(NOTHING, lab.called)
        lab.keeper.settle()
        for _unused in range(100):
            lab.now += 10
            lab.keeper.look()
            await lab.rest()
        assert [model.runs for model in lab.models] == [0, 0]
        assert lab.keeper.state() is None

    lab = run(story, tmp_path)
    assert (lab.events, list(tmp_path.iterdir())) == ([], [])


def test_new_rules_are_there_before_the_table_is_told_and_old_ones_go_after_it(
    tmp_path: Path,
) -> None:
    async def story(lab: Lab) -> None:
        assert lab.keeper.want(SHOP, lab.called)
        assert lab.ready == 0
        await lab.rest()
        assert (lab.ready, lab.model.rules) == (1, SHOP)
        lab.keeper.settle()
        await lab.rest()
        assert lab.model.history == [SHOP]

        assert lab.keeper.want(MAIL, lab.called)
        await lab.rest()
        assert (lab.ready, lab.model.rules) == (2, SHOP | MAIL)
        lab.keeper.settle()
        await lab.rest()
        assert lab.model.history == [SHOP, SHOP | MAIL, MAIL]

        assert not lab.keeper.want(NOTHING, lab.called)
        await lab.rest()
        assert lab.model.rules == MAIL
        lab.keeper.settle()
        await lab.rest()
        assert lab.model.rules == NOTHING
        assert lab.keeper.state() is None

    lab = run(story, tmp_path)
    assert lab.ready == 2
    assert list(tmp_path.iterdir()) == []
    assert lab.models[1].runs == 0


def test_what_is_right_is_not_touched(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.have(SHOP)
        runs = lab.model.runs
        assert not lab.keeper.want(SHOP, lab.called)
        lab.keeper.settle()
        await lab.rest()
        for _unused in range(20):
            lab.now += 2
            lab.keeper.look()
            await lab.rest()
        assert lab.model.runs == runs
        lab.now += READ_AGAIN
        lab.keeper.look()
        await lab.rest()
        assert lab.model.runs == runs + 1
        assert lab.model.history == [SHOP]

    run(story, tmp_path)


def test_a_restart_adopts_what_is_there(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.have(SHOP)
        await lab.keeper.stop()
        assert lab.model.rules == SHOP
        lab.start()
        await lab.have(SHOP)
        assert lab.model.history == [SHOP]
        assert lab.keeper.state() == {
            "ok": True,
            "error": None,
            "by": "nft",
            "rules": 2,
            "repairs": 0,
        }

    run(story, tmp_path)


def test_a_restart_without_marks_takes_away_what_was_left(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.have(SHOP)
        await lab.keeper.stop()
        lab.start()
        assert not lab.keeper.want(NOTHING, lab.called)
        lab.keeper.look()
        lab.keeper.settle()
        await lab.rest()
        assert lab.model.rules == NOTHING

    run(story, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("left", "whole", "words"),
    [(NOTHING, True, "2 rules missing"), (SHOP, False, "they are different")],
)
def test_what_others_change_is_put_right_and_told(
    tmp_path: Path, left: Rules, whole: bool, words: str
) -> None:
    async def story(lab: Lab) -> None:
        await lab.have(SHOP)
        lab.model.change(left, whole=whole)
        lab.keeper.look()
        await lab.rest()
        assert (lab.model.rules, lab.model.whole) == (SHOP, True)
        assert (lab.keeper.state() or {})["repairs"] == 1
        lab.keeper.look()
        await lab.rest()
        # Somebody changes what is not ours.
        lab.model.generation += 1
        lab.keeper.look()
        await lab.rest()

    lab = run(story, tmp_path)
    assert lab.told("warning") == [
        f"the marking rules were changed by somebody else ({words}); putting them right"
    ]


def test_a_kernel_without_nftables_gets_the_older_program_and_that_is_remembered(
    tmp_path: Path,
) -> None:
    async def story(lab: Lab) -> None:
        lab.model.writes_refused = "nft: Operation not supported"
        await lab.have(SHOP)
        assert (lab.ready, lab.model.rules, lab.models[1].rules) == (1, NOTHING, SHOP)
        assert json.loads((tmp_path / "marking.json").read_text()) == {
            "by": "iptables-legacy",
            "families": ["ipv4"],
        }
        tried = lab.model.runs
        await lab.keeper.stop()
        lab.start()
        await lab.have(SHOP | MAIL)
        assert lab.model.runs == tried

    lab = run(story, tmp_path)
    assert lab.told("err") == []
    assert lab.models[1].rules == SHOP | MAIL


def test_where_neither_works_the_table_goes_on_and_that_is_told_once(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        for model in lab.models:
            model.refusal = f"there is no program {model.name}"
        assert lab.keeper.want(SHOP, lab.called)
        await lab.rest()
        assert lab.ready == 1
        lab.keeper.settle()
        for _unused in range(30):
            lab.now += 2
            lab.keeper.look()
            await lab.rest()
        # Not at every look.
        assert lab.model.runs <= 3 + 60 / TRY_AGAIN
        state = lab.keeper.state() or {}
        assert not state["ok"]
        assert lab.keeper.problem == state["error"]
        lab.model.refusal = None
        lab.now += TRY_AGAIN
        lab.keeper.look()
        await lab.rest()
        assert lab.model.rules == SHOP
        assert (lab.keeper.state() or {})["ok"]

    lab = run(story, tmp_path)
    (told,) = lab.told("err")
    assert told == (
        "packets of 1 service with a firewall mark are not marked: there is no program nft;"
        " there is no program iptables-legacy; install the package nftables (or iptables, where"
        " the kernel has no nftables); trying again every 10 s"
    )
    assert lab.told("notice") == ["the marking rules are as they shall be again"]


def test_a_passing_failure_does_not_change_the_back_end(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        await lab.have(SHOP)
        lab.model.refusal = "nft did not end within 5 s and was killed"
        await lab.have(SHOP | MAIL)
        assert lab.models[1].runs == 0
        assert "nft did not end" in (lab.keeper.problem or "")
        lab.model.refusal = None
        lab.now += TRY_AGAIN
        lab.keeper.look()
        await lab.rest()
        assert lab.model.rules == SHOP | MAIL

    run(story, tmp_path)


def test_changes_that_come_while_a_program_runs_are_not_lost(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        lab.model.gate.clear()
        assert lab.keeper.want(SHOP, lab.called)
        await lab.rest()
        assert lab.keeper.want(MAIL, lab.called)
        await lab.rest()
        assert lab.ready == 0
        lab.model.gate.set()
        await lab.rest()
        assert lab.ready == 1
        assert lab.model.rules >= MAIL
        lab.keeper.settle()
        await lab.rest()
        assert lab.model.rules == MAIL

    run(story, tmp_path)


def test_where_the_cheap_look_is_impossible_all_is_read_now_and_then(tmp_path: Path) -> None:
    async def story(lab: Lab) -> None:
        lab.model.blind = True
        await lab.have(SHOP)
        lab.model.rules = NOTHING
        lab.keeper.look()
        await lab.rest()
        assert lab.model.rules == NOTHING
        lab.now += TRY_AGAIN
        lab.keeper.look()
        await lab.rest()
        assert lab.model.rules == SHOP

    run(story, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"by": "nft"}', "\0"])
def test_a_broken_memory_is_told_and_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "marking.json").write_text(text)

    async def story(lab: Lab) -> None:
        await lab.have(SHOP)
        assert lab.model.rules == SHOP

    lab = run(story, tmp_path)
    (told,) = lab.told("warning")
    assert "marking.json: cannot be read" in told
    assert json.loads((tmp_path / "marking.json").read_text())["by"] == "nft"


def test_a_mistake_of_ours_ends_lvsd_and_is_not_swallowed(tmp_path: Path) -> None:
    seen: list[object] = []

    async def story(lab: Lab) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: seen.append(context["exception"])
        )

        def broken() -> None:
            raise RuntimeError("a mistake")

        lab.keeper.want(SHOP, broken)
        await lab.rest()

    run(story, tmp_path)
    assert [str(one) for one in seen] == ["a mistake"]
