# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check that somebody at the page asks for: by hand where that goes, else by lvsd."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from piranha.editing import checking
from piranha.gui.protocol import BY_LVSD, OPERATE, VIEW, Checked

from .files import TEXT
from .test_door import ANSWERS, Client, living

SEEN = Checked("unchecked", ["web/one: NOT CHECKED: why", "  check: ping at 192.0.2.11, 1 s"])


def server(result: str, at: float, virtual: str = "web") -> dict[str, Any]:
    last = {"at": at, "seconds": 0.25, "result": result, "answer": "it <b>said</b> so"}
    return {"virtual": virtual, "name": "one", "last_check": last}


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (["good"], "up"),
        (["bad"], "down"),
        (["unknown"], "unchecked"),
        (["good", "bad"], "down"),
        (["bad", "unknown", "good"], "unchecked"),
        (["what else"], "unchecked"),
    ],
)
def test_what_lvsd_found_is_told_as_by_hand(results: list[str], verdict: str) -> None:
    found = checking.told([server(one, 5.0) for one in results], SEEN)
    assert found.verdict == verdict
    assert len(found.lines) == 4 * len(results)
    words = {"good": "UP", "bad": "DOWN"}.get(results[0], "NOT CHECKED")
    assert found.lines[:3] == [
        f"web/one: {words}: it <b>said</b> so",
        "  check: ping at 192.0.2.11, 1 s",
        "  took:  250.0 ms",
    ]


def test_a_program_that_does_not_run_says_nothing_of_the_server() -> None:
    assert checking.verdict_of(1, ["web/one: DOWN: refused", "  check: connect"]) == "down"
    assert checking.verdict_of(0, ["web/one: UP: connected"]) == "up"
    for status, lines in ((1, ["No module named piranha"]), (1, []), (2, []), (-9, [])):
        assert checking.verdict_of(status, lines) == "unchecked"


def test_only_a_check_that_has_ended_since_is_the_answer() -> None:
    looks = iter([None, 9.0, 9.7, 9.8])  # 9.8 + 0.25 is after 10
    asked = []

    async def ask(do: str, **whom: object) -> dict[str, Any]:
        asked.append((do, whom))
        if do == "check":
            return {"now": 10.0}
        at = next(looks)
        made = server("good", at or 0.0)
        return {"servers": [made if at else {**made, "last_check": None}]}

    found = asyncio.run(checking.by_lvsd(ask, "web", "one", SEEN))
    assert found.verdict == "up"
    assert [do for do, _whom in asked] == ["check", *["servers"] * 4]
    assert {tuple(whom.items()) for _do, whom in asked} == {(("virtual", "web"), ("server", "one"))}


def test_a_check_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LIMIT", 0.5)

    async def ask(do: str, **_whom: object) -> dict[str, Any]:
        return {"now": 10.0} if do == "check" else {"servers": [server("good", 1.0)]}

    with pytest.raises(TimeoutError):
        asyncio.run(checking.by_lvsd(ask, "web", "one", SEEN))


def test_what_cannot_be_checked_by_hand_lvsd_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way through the virtual address takes a helper service, which is lvsd's."""
    text = TEXT.replace('send_program = "/usr/local/bin/check %h"', "check_via = virtual")
    monkeypatch.delenv("PYTHONPATH", raising=False)  # an installed agent has none
    monkeypatch.setitem(ANSWERS, "check", {"now": 10.0})
    monkeypatch.setitem(ANSWERS, "servers", {"servers": [server("good", 10.0)]})

    async def work(client: Client) -> None:
        (client.folder / "lvs.cf").write_text(text)
        told = await client.ask("check_now", OPERATE, virtual="web", server="one")
        assert told["result"]["verdict"] == "up", told
        assert BY_LVSD in told["result"]["lines"]
        assert [one.do for one in client.asked] == ["check", "servers"]
        client.asked.clear()
        unknown = await client.ask("check_now", OPERATE, virtual="web", server="absent")
        assert unknown["result"]["verdict"] == "unchecked"  # nor does lvsd know it
        assert "no active real server is called web/absent" in unknown["result"]["lines"][0]
        client.asked.clear()
        assert not (await client.ask("check_now", VIEW, virtual="web", server="one"))["ok"]
        assert client.asked == []
        client.pulse.stop()
        alone = await client.ask("check_now", OPERATE, virtual="web", server="one")
        assert alone["result"]["verdict"] == "unchecked"
        assert BY_LVSD not in alone["result"]["lines"]

    living(tmp_path, work)
