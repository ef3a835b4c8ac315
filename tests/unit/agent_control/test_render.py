# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""More of what `piranha status` shows; test_cli.py has what an operator asks first."""

from __future__ import annotations

import pytest
from piranha.control import render, screen

from .test_cli import NOW, STATUS, changed, pool


def test_what_the_last_check_said_is_told_where_it_is_not_the_reason() -> None:
    words = "not checked: too many open files on this router"
    server = {"reason": "connected", "last_check": {"answer": words, "at": NOW, "seconds": 0.0}}
    found = {"lvsd": {"virtual": [{"name": "web", "servers": [server]}]}}
    assert f"connected; last check: {words}" in "\n".join(render.status(found, now=NOW))
    server["reason"] = f"drained by anna; {words}"
    assert "last check" not in "\n".join(render.status(found, now=NOW))


def test_a_sorry_server_is_shown_with_what_it_does() -> None:
    for serves, does in ((True, "serves"), (False, "waits")):
        found = pool(sorry={"address": "192.0.2.99", "serves": serves})
        assert f"of 2 in service, the sorry server 192.0.2.99 {does}\n" in "\n".join(
            render.status(found, now=NOW)
        )


def test_a_screen_shows_what_is_wrong_first_and_counts_what_does_not_fit() -> None:
    found = pool(in_service=0, well=0)
    lines = render.status(found, now=NOW, alarms_first=True)
    (alarm,) = (number for number, line in enumerate(lines) if line.startswith("! "))
    (service,) = (number for number, line in enumerate(lines) if line.startswith("web (tcp"))
    assert alarm < service
    assert sorted(lines) == sorted([*render.status(found, now=NOW), ""])
    assert screen.fit(["a", "bb", ""], 2, 3) == ["a", "bb", ""]
    left = "more lines: piranha status | less"
    assert screen.fit(["a", "bbb", "c"], 2, 3) == ["a", f"... 2 {left}"]
    # Colours take no room.
    assert screen.fit([f"{render.RED}ab{render.PLAIN}", "c"], 2, 2)[1] == "c"
    assert screen.fit(["a"] * 9, 80, 4) == ["a", "a", "a", f"... 6 {left}"]


@pytest.mark.parametrize("name", ["web", "a", "192.0.2.22", "192.0.2.22:80"])
def test_one_virtual_service_alone_is_shown_whole(name: str) -> None:
    other = {**STATUS["lvsd"]["virtual"][0], "name": "mail", "servers": [], "in_service": 0}
    found = changed(lvsd={**STATUS["lvsd"], "virtual": [other, *STATUS["lvsd"]["virtual"]]})
    assert render.only(found, name) == STATUS
    assert render.only(found, "mail")["lvsd"]["virtual"] == [other]


@pytest.mark.parametrize("found", [STATUS, {}, {"lvsd": None}])
def test_a_name_that_nobody_has_is_a_sentence(found: dict[str, object]) -> None:
    with pytest.raises(LookupError, match="no virtual service or real server in force is called x"):
        render.only(found, "x")
