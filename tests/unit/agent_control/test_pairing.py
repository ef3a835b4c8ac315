# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What heart and fos are told of each other, and how often; both wards only pretend."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from piranha.pulse.pairing import Pairing
from piranha.pulse.ward import Ward


@dataclass
class Fake:
    """A ward that notes what it is asked."""

    state: dict[str, Any] | None = None
    process: object = "running"
    child: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(starts=1))
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ok: bool = True

    async def request(self, do: str, limit: float, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((do, arguments))
        return {"ok": self.ok}


def paired() -> tuple[Fake, Fake, Pairing]:
    heart, fos = Fake(), Fake()

    def start(work: Any) -> None:
        asyncio.run(work())

    return heart, fos, Pairing(cast(Ward, heart), cast(Ward, fos), start)


def state(holding: bool, **peer: Any) -> dict[str, Any]:
    group = {
        "name": "",
        "holding": holding,
        "partner": peer.get("state"),
        "services": peer.get("services"),
    }
    found = {"state": "active" if holding else "standby", "holding": holding, "peer": peer or None}
    return {**found, "groups": [group]}


WORD = {"running": False, "mending": False, "weak": False, "asks": False}
SAY = ("say", {"groups": {"": WORD}})


def said(released: str = "", asked: bool = False) -> dict[str, Any]:
    return {"groups": [{"name": "", "word": WORD, "released": released, "asked": asked}]}


def test_what_is_new_is_said_once_and_again_to_whoever_was_started_again() -> None:
    heart, fos, pairing = paired()
    pairing.look()
    assert fos.asked == [], "the heart has not spoken"
    heart.state = state(True, state="standby", services=WORD)
    pairing.look()
    pairing.look()
    group = {"holding": True, "partner": "standby", "word": WORD}
    role = {"partnered": True, "groups": {"": group}}
    assert fos.asked == [("role", role)]
    fos.child.starts = 2
    pairing.look()
    assert fos.asked == [("role", role)] * 2
    fos.state = said()
    pairing.look()
    pairing.look()
    assert heart.asked == [SAY]


def test_what_was_not_taken_is_said_again() -> None:
    heart, fos, pairing = paired()
    heart.state, fos.ok = state(False), False
    pairing.look()
    pairing.look()
    assert len(fos.asked) == 2
    fos.process = None
    pairing.look()
    assert len(fos.asked) == 2, "whoever does not run is asked nothing"


def test_the_addresses_are_given_up_after_the_word_and_once() -> None:
    heart, fos, pairing = paired()
    heart.state = state(True, state="standby", services=WORD)
    fos.state = said("web failed here")
    pairing.look()
    pairing.look()
    assert heart.asked == [SAY, ("unfit", {"group": "", "why": "web failed here"})]
    heart.state = state(False, state="active", services=WORD)
    pairing.look()
    fos.state = said()
    pairing.look()
    heart.state = state(True, state="standby", services=WORD)
    fos.state = said("web failed here")
    pairing.look()
    assert [do for do, _unused in heart.asked] == ["say", "unfit", "unfit"]


def test_an_operator_s_wish_is_a_switchover_and_each_group_goes_for_itself() -> None:
    heart, fos, pairing = paired()
    heart.state = state(True, state="standby", services=WORD)
    heart.state["groups"].append({**heart.state["groups"][0], "name": "db"})
    fos.state = said("root asks", asked=True)
    fos.state["groups"].append({**said("db failed")["groups"][0], "name": "db"})
    pairing.look()
    pairing.look()
    assert set(fos.asked[0][1]["groups"]) == {"", "db"}
    assert heart.asked == [
        ("say", {"groups": {"": WORD, "db": WORD}}),
        ("switchover", {"group": "", "why": "root asks"}),
        ("unfit", {"group": "db", "why": "db failed"}),
    ]


def test_after_a_resignation_fos_holds_nothing_whatever_the_heart_said_last() -> None:
    heart, fos, pairing = paired()
    heart.state = state(True, state="standby", services=WORD)
    pairing.look()
    pairing.resigned()
    assert fos.asked[-1][1]["groups"][""]["holding"] is False
    assert fos.asked[-1][1]["partnered"] is True
    pairing.look()
    assert len(fos.asked) == 2


def test_the_heart_is_told_of_a_group_when_a_reload_has_given_it_that_group_too() -> None:
    """It forgets what it is told of a group that it has not: the partner would wait for ever."""
    heart, fos, pairing = paired()
    heart.state = state(True, state="standby", services=WORD)
    fos.state = said()
    fos.state["groups"].append({**said()["groups"][0], "name": "db"})
    pairing.look()
    assert heart.asked == [SAY]
    heart.state["groups"].append({**heart.state["groups"][0], "name": "db"})
    pairing.look()
    pairing.look()
    assert heart.asked == [SAY, ("say", {"groups": {"": WORD, "db": WORD}})]
