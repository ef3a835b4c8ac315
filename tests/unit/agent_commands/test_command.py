# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' commands as data: facts, results in words, how systemd is asked. Nothing is run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from piranha.commands import transient
from piranha.commands.command import FACTS, Command, Result, ended, split

ROOT = Path(__file__).resolve().parents[3]
COMMAND = Command("notify_cmd", ("/usr/sbin/tell", "a$b", "x"), 2.5, {"PIRANHA_STATE": "active"})


def test_a_command_is_split_at_blanks_as_the_original_did() -> None:
    assert split("  /bin/x  'a b' ") == ("/bin/x", "'a", "b'")
    assert split(None) == ()


def test_facts_are_one_line_and_none_is_undocumented() -> None:
    facts = {"PIRANHA_REASON": "it\nfailed\0 twice"}
    assert Command("x", ("y",), 1, facts).environment["PIRANHA_REASON"] == "it failed twice"
    with pytest.raises(ValueError, match="PIRANHA_SECRET"):
        _unused = Command("x", ("y",), 1, {"PIRANHA_SECRET": "1"}).environment


def test_the_page_about_commands_tells_each_fact_and_no_other() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(PIRANHA_\w+)` \| (.+?) \|$", page, re.MULTILINE))
    assert rows == dict(FACTS)


@pytest.mark.parametrize(
    ("status", "ok", "words"),
    [
        (0, True, "succeeded"),
        (3, False, "ended with status 3"),
        (-9, False, "was ended by SIGKILL"),
        (-77, False, "was ended by signal 77"),
        (None, False, "did not end within 2.5 s and was killed"),
    ],
)
def test_how_it_ended_in_words(status: int | None, ok: bool, words: str) -> None:
    assert ended(status, 2.5) == (ok, words)
    assert Result(ok, words, 1.0).told("x") == f"x {words} after 1.00 s"


def test_systemd_is_asked_for_a_unit_of_its_own() -> None:
    line = transient.run(COMMAND, "piranha-x.service")
    assert line[0] == "/usr/bin/systemd-run"
    assert line[line.index("--") :] == ["--", "/usr/sbin/tell", "a$$b", "x"]
    assert "--service-type=oneshot" in line
    assert "--property=TimeoutStartSec=2.5s" in line
    assert "--property=DefaultDependencies=no" in line, "else nothing stops at a shutdown"
    assert "--setenv=PIRANHA_STATE=active" in line
    assert not [word for word in line if word.startswith(("sh", "/bin/sh", "-c"))]


def test_a_service_is_a_unit_that_lives_on_and_is_stopped_after_pulse() -> None:
    line = transient.start(COMMAND, transient.unit_of("web"), 7, "piranha-pulse.service")
    assert "--unit=piranha-fos-web.service" in line
    assert "--service-type=forking" in line
    assert "--property=RemainAfterExit=yes" in line
    assert "--property=Before=piranha-pulse.service" in line
    assert "--property=TimeoutStopSec=7s" in line
    assert not [w for w in transient.start(COMMAND, "u", 7, None) if "Before" in w]


def test_names_of_units_are_fit_and_never_the_same() -> None:
    names = ["web", "we b", "we_20b", "wéb", "web/../../x", "a" * 300, "a" * 301, "-x", "we-b"]
    units = [transient.unit_of(name) for name in names]
    assert len(set(units)) == len(units)
    assert all(re.fullmatch(r"[A-Za-z0-9:_.-]{1,255}", unit) for unit in units)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (
            "Result=exit-code\nExecStart={ path=/x ; code=exited ; status=3 }\n",
            "ended with status 3",
        ),
        ("Result=timeout\nExecStart={ code=killed ; status=15 }", "did not end within 2 s"),
        ("Result=signal\nExecStart={ code=killed ; status=9 }", "was ended by SIGKILL"),
        ("Result=signal\nExecStart={ code=dumped ; status=99 }", "was ended by signal 99"),
        ("Result=resources\n", "failed (resources)"),
        ("Result=success\n", None),
        ("", None),
    ],
)
def test_what_systemd_shows_becomes_words(shown: str, words: str | None) -> None:
    found = transient.outcome(shown, 2)
    assert found is None if words is None else found and found.startswith(words)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/piranha-pulse.service\n", "piranha-pulse.service"),
        ("12:pids:/a.slice/b.service/sub\n0::/x", "b.service"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_our_own_unit_is_found(cgroup: str, unit: str | None) -> None:
    assert transient.unit_in(cgroup) == unit
