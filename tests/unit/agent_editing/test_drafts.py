# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drafts that the editor keeps: root's, bounded, one for each user, and of no meaning to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from piranha.editing import drafts
from piranha.editing.drafts import Drafts, TooLarge
from piranha.gui import protocol
from piranha.gui.protocol import EDIT, OPERATE

from .test_door import Client, living


def test_each_user_has_one_and_nobody_elses(tmp_path: Path) -> None:
    kept = Drafts(tmp_path / "drafts")
    assert kept.get("ann") == ""
    kept.put("ann", "one \u00e4\n")
    kept.put("../../ann", "two")
    kept.put("ann\udc80", "three")
    assert [kept.get(name) for name in ("ann", "../../ann", "ann\udc80", "bob")] == [
        *("one \u00e4\n", "two", "three", "")
    ]
    assert [path.parent for path in tmp_path.rglob("*.draft")] == [tmp_path / "drafts"] * 3
    assert (tmp_path / "drafts").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.draft")} == {0o600}
    kept.put("ann", "")
    kept.put("ann", "")
    assert kept.get("ann") == ""
    assert kept.get("../../ann") == "two"


def test_they_are_bounded_in_size_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "LARGEST", 10)
    kept = Drafts(tmp_path / "drafts", most=3)
    kept.put("ann", "0123456789")
    with pytest.raises(TooLarge, match="more than 10 characters"):
        kept.put("ann", "01234567890")
    assert kept.get("ann") == ""  # an older one would come back as if it were the last
    for number in range(5):
        kept.put(f"user{number}", str(number))
        path = max((tmp_path / "drafts").iterdir(), key=lambda one: one.stat().st_ino)
        os.utime(path, (number, number))
    assert len(list((tmp_path / "drafts").iterdir())) == 3


def test_the_editor_keeps_them_for_those_who_may_edit(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        assert (await client.ask("kept"))["result"] == {"draft": ""}
        assert (await client.ask("keep", draft="what it is"))["ok"]
        assert (await client.ask("kept"))["result"] == {"draft": "what it is"}
        assert (await client.ask("kept", OPERATE))["code"] == protocol.FORBIDDEN
        assert (await client.ask("keep", OPERATE, draft="x"))["code"] == protocol.FORBIDDEN
        assert (await client.ask("keep", draft=5))["code"] == protocol.INVALID
        large = await client.ask("keep", draft="x" * (drafts.LARGEST + 1))
        assert (large["code"], "not kept" in large["error"]) == (protocol.REFUSED, True)
        surrogate = await client.ask("keep", draft="\ud800")
        assert surrogate["code"] == protocol.REFUSED
        assert (await client.ask("history"))["result"] == {"entries": []}

    living(tmp_path, work)
    assert (tmp_path / "history/drafts").is_dir()


def test_a_page_that_may_not_edit_keeps_nothing(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        assert (await client.ask("keep", EDIT, draft="x"))["code"] == protocol.FORBIDDEN

    living(tmp_path, work, ceiling=OPERATE)
    assert not (tmp_path / "history/drafts").exists()
