# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of lvs.cf by the page: compared, judged, written, in force; or nothing has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from piranha.control.client import Refused, Unreachable
from piranha.editing.desk import Denied
from piranha.editing.history import History
from piranha.editing.preview import digest_of
from piranha.gui import protocol
from piranha.gui.protocol import VIEW, Entry

from .files import ANN, TEXT, desk, settings

OTHER = TEXT.replace("192.0.2.12", "192.0.2.13")
BASE = digest_of(TEXT)


def denied(folder: Path, work: object, *arguments: object) -> Denied:
    """The refusal, having seen that nothing at all has changed in the folder."""
    before = snapshot(folder)
    with pytest.raises(Denied) as why:
        work(*arguments)  # type: ignore[operator]
    assert snapshot(folder) == before
    return why.value


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_change_is_written_whole_and_kept_in_the_history(tmp_path: Path) -> None:
    seen: list[str] = []

    def reload() -> list[str]:
        seen.append((tmp_path / "lvs.cf").read_text())
        return ["lvs.cf:1:1: warning: something"]

    here = desk(tmp_path, reload=reload)
    (tmp_path / "lvs.cf").chmod(0o640)
    done = here.write(settings(tmp_path), ANN, BASE, OTHER, "one moved")
    wanted = OTHER.replace("serial_no = 7", "serial_no = 8")
    assert (tmp_path / "lvs.cf").read_text() == wanted
    assert seen == [wanted]
    assert (tmp_path / "lvs.cf").stat().st_mode & 0o777 == 0o640
    assert (done.serial, done.backup, done.in_force) == (8, 1, True)
    assert done.digest == digest_of(wanted) == here.state().digest
    assert done.warnings == ["lvs.cf:1:1: warning: something"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history", "lvs.cf", "run"]
    (entry,) = here.history()
    assert entry == Entry(
        number=1,
        at=1000.0,
        user="ann",
        role="edit",
        why="one moved",
        before=BASE,
        after=done.digest,
        outcome="in force",
        note="",
        difference=["virtual web: server two: address: 192.0.2.12 becomes 192.0.2.13"],
    )
    assert here.old(1) == TEXT
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "history").iterdir()} == {0o600}


def test_the_second_of_two_is_told_who_was_first(tmp_path: Path) -> None:
    here = desk(tmp_path)
    done = here.write(settings(tmp_path), ANN, BASE, OTHER, "one moved")
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, BASE, TEXT + "#\n", "mine")
    assert why.code == protocol.CONFLICT
    assert str(why).startswith("ann has changed the file meanwhile (1970-01-01")
    assert why.details == {"digest": done.digest, "who": "ann", "when": 1000.0, "why": "one moved"}
    (tmp_path / "lvs.cf").write_text(TEXT + "# by hand\n")
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, done.digest, TEXT, "mine")
    assert why.details["who"] == "somebody outside of this page"


def test_a_text_with_errors_is_not_written(tmp_path: Path) -> None:
    here = desk(tmp_path)
    text = TEXT.replace("port = 443", "port = many")
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, BASE, text, "")
    assert why.code == protocol.INVALID
    errors = [one for one in why.details["findings"] if one["severity"] == "error"]
    lines = [text.splitlines()[one["line"] - 1].strip() for one in errors]
    assert "port = many" in lines


def test_a_program_of_its_own_is_not_written(tmp_path: Path) -> None:
    here = desk(tmp_path)
    text = TEXT.replace("/usr/local/bin/tell all", "/bin/sh -c id")
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, BASE, text, "")
    assert why.code == protocol.REFUSED
    assert "notify_cmd: names a program" in str(why)


def test_a_program_of_the_folder_is_written(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    program = tmp_path / "scripts/check"
    program.write_text("#!/bin/true\n")
    program.chmod(0o755)
    here = desk(tmp_path)
    text = TEXT.replace("/usr/local/bin/check %h", f"{program} %h")
    here.write(settings(tmp_path), ANN, BASE, text, "")
    assert f'send_program = "{program} %h"' in here.state().text
    program.chmod(0o775)
    assert not here.programs(settings(tmp_path))[0].fit


def test_what_pulse_does_not_take_is_taken_back(tmp_path: Path) -> None:
    def reload() -> list[str]:
        raise Refused("the heart: no device eth0")

    here = desk(tmp_path, reload=reload)
    with pytest.raises(Denied, match="so the file is what it was: the heart: no device eth0"):
        here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    assert (tmp_path / "lvs.cf").read_text() == TEXT
    (entry,) = here.history()
    assert (entry.outcome, entry.note) == ("taken back", "the heart: no device eth0")


def test_without_pulse_the_file_is_written_and_that_is_said(tmp_path: Path) -> None:
    def reload() -> list[str]:
        raise Unreachable("pulse is not running")

    here = desk(tmp_path, reload=reload)
    done = here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    assert not done.in_force
    assert "reads it when it starts" in done.note
    assert here.history()[0].outcome == "written"


@pytest.mark.parametrize(
    ("call", "sentence"), [(1, "cannot keep the history"), (3, "history"), (5, "cannot write")]
)
def test_on_a_full_disk_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, sentence: str
) -> None:
    here = desk(tmp_path)
    whole, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Denied, match="No space left on device; nothing was changed") as why:
        here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    assert sentence in str(why.value)
    assert (tmp_path / "lvs.cf").read_text() == TEXT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history", "lvs.cf", "run"]
    assert [one.outcome for one in here.history()] in ([], ["taken back"])


def test_a_file_that_cannot_be_put_back_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    def reload() -> list[str]:
        monkeypatch.setattr(os, "fsync", fsync)
        raise Refused("no device eth0")

    here = desk(tmp_path, reload=reload)
    with pytest.raises(Denied, match="could not be put back: Input/output error; entry 1 of"):
        here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    assert here.old(1) == TEXT


def test_a_file_that_is_not_utf_8_is_left_alone(tmp_path: Path) -> None:
    here = desk(tmp_path)
    (tmp_path / "lvs.cf").write_bytes(b"# caf\xe9\n" + TEXT.encode())
    base = here.state().digest
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, base, TEXT, "")
    assert "save the file as UTF-8 first" in str(why)


def test_the_first_file_can_be_written(tmp_path: Path) -> None:
    here = desk(tmp_path)
    (tmp_path / "lvs.cf").unlink()
    state = here.state()
    assert (state.text, state.serial, state.in_force) == ("", 0, None)
    plain = "primary = 192.0.2.1\n"
    here.write(settings(tmp_path), ANN, state.digest, plain, "")
    assert here.state().text == plain + "serial_no = 1\n"
    assert (tmp_path / "lvs.cf").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        (TEXT, {"ceiling": "operate"}, "this page may operate at the most"),
        ("# Written by Ansible\n" + TEXT, {}, "run the playbook piranha.lvs.site, or allow it"),
    ],
)
def test_editing_is_off_where_it_is_not_allowed(
    tmp_path: Path, text: str, more: dict[str, object], sentence: str
) -> None:
    here = desk(tmp_path, text)
    wishes = settings(tmp_path, **more)
    why = denied(tmp_path, here.write, wishes, ANN, digest_of(text), text + "#\n", "")
    assert why.code == protocol.FORBIDDEN
    assert sentence in str(why)
    rights = here.rights(wishes)
    assert (rights.editing, rights.why_not) == (False, str(why))


def test_the_mark_of_ansible_stays_where_editing_is_allowed(tmp_path: Path) -> None:
    marked = "# Written by Ansible\n" + TEXT
    here = desk(tmp_path, marked)
    wishes = settings(tmp_path, edit_managed=True)
    why = denied(tmp_path, here.write, wishes, ANN, digest_of(marked), TEXT, "")
    assert "must stay" in str(why)
    here.write(wishes, ANN, digest_of(marked), marked + "#\n", "")
    assert here.rights(wishes).managed_by_ansible


def test_a_link_stays_a_link_and_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    here = desk(tmp_path)
    (tmp_path / "lvs.cf").rename(tmp_path / "real.cf")
    (tmp_path / "lvs.cf").symlink_to("real.cf")
    here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    assert (tmp_path / "lvs.cf").is_symlink()
    assert "192.0.2.13" in (tmp_path / "real.cf").read_text()
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, BASE, "\ud800", "")
    assert why.code == protocol.INVALID


def test_the_history_keeps_a_bounded_number(tmp_path: Path) -> None:
    history = History(tmp_path, kept=3)
    for number in range(1, 6):
        assert history.next_number() == number
        entry = Entry(number, 0.0, "a", VIEW, "", f"{number}", f"{number + 1}", "", "", [])
        history.add(entry, f"text {number}")
    assert [one.number for one in history.entries()] == [5, 4, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("3.cf", "3.json", "4.cf", "4.json", "5.cf", "5.json")
    ]
    (tmp_path / "4.json").write_text("{broken")
    (tmp_path / "stray.json").write_text("{}")
    assert [one.number for one in history.entries()] == [5, 3]


def test_one_click_brings_the_text_before_back(tmp_path: Path) -> None:
    here = desk(tmp_path)
    done = here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    again = here.write(settings(tmp_path), ANN, done.digest, here.old(1), "back")
    assert here.state().text == TEXT.replace("serial_no = 7", "serial_no = 9")
    assert again.backup == 2
    with pytest.raises(Denied, match="the history has no entry 7"):
        here.old(7)


def test_a_text_that_is_ahead_keeps_its_number_so_that_two_routers_can_be_alike(
    tmp_path: Path,
) -> None:
    """It comes from the partner, whose own file has been written more often."""
    here = desk(tmp_path)
    ahead = OTHER.replace("serial_no = 7", "serial_no = 20")
    done = here.write(settings(tmp_path), ANN, BASE, ahead, "as on the other one")
    assert here.state().text == ahead
    assert (done.serial, done.digest) == (20, digest_of(ahead))


def test_history_brings_no_program_back_that_root_took_out(tmp_path: Path) -> None:
    here = desk(tmp_path)
    here.write(settings(tmp_path), ANN, BASE, OTHER, "")
    by_root = TEXT.replace("/usr/local/bin/tell all", "/usr/local/bin/quiet")
    (tmp_path / "lvs.cf").write_text(by_root)
    why = denied(tmp_path, here.write, settings(tmp_path), ANN, digest_of(by_root), here.old(1), "")
    assert why.code == protocol.REFUSED


def test_a_preview_tells_all_and_changes_nothing(tmp_path: Path) -> None:
    here = desk(tmp_path)
    before = snapshot(tmp_path)
    found = here.preview(settings(tmp_path), BASE, OTHER)
    assert [one.words for one in found.meaning] == [
        "virtual web: server two: address: 192.0.2.12 becomes 192.0.2.13"
    ]
    assert found.table == [
        "ipvsadm -a -t 198.51.100.10:80 -r 192.0.2.13:80 -g -w 1",
        "ipvsadm -d -t 198.51.100.10:80 -r 192.0.2.12:80",
    ]
    assert "-        address = 192.0.2.12" in found.text_diff
    assert (found.errors, found.refused, found.conflict, found.yaml) == (0, [], False, "")
    bad = here.preview(settings(tmp_path), "other", TEXT.replace("port = 443", "port = many"))
    assert bad.errors == len([one for one in bad.findings if one["severity"] == "error"]) > 0
    assert (bad.conflict, bad.table, bad.meaning) == (True, [], [])
    denied_one = here.preview(settings(tmp_path), BASE, TEXT.replace("tell all", "tell me"))
    assert len(denied_one.refused) == 1
    assert snapshot(tmp_path) == before


def test_what_was_read_beforehand_is_not_read_when_somebody_waits(tmp_path: Path) -> None:
    here, wishes = desk(tmp_path), settings(tmp_path)
    before = snapshot(tmp_path)
    here.warm(wishes)
    assert snapshot(tmp_path) == before
    known = vars(here)["_memory"]
    laid = known.reader.load(TEXT).config.virtual
    found = here.preview(wishes, BASE, OTHER)
    assert len(found.table) == 2
    again = known.reader.load(OTHER).config.virtual
    same = [one is other for one, other in zip(laid, again, strict=True)]
    assert same.count(False) == 1, "a block that did not change was read anew"
    (tmp_path / "lvs.cf").write_text("virtual {")
    here.warm(wishes)
    (tmp_path / "lvs.cf").unlink()
    here.warm(wishes)


def test_where_ansible_writes_the_preview_offers_the_inventory(tmp_path: Path) -> None:
    here = desk(tmp_path, "# Written by Ansible\n" + TEXT)
    text = "# Written by Ansible\n" + OTHER.replace("virtual tls", 'virtual "{{ lookup }}"')
    found = here.preview(settings(tmp_path), BASE, text)
    lines = found.yaml.splitlines()
    assert lines[0] == "---"
    assert '  - name: !unsafe "{{ lookup }}"' in lines
    assert '      - name: "two"' in lines
    assert '        address: "192.0.2.13"' in lines
    assert not [line for line in lines if "primary" in line or "serial_no" in line]
