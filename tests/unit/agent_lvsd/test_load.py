# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""load_monitor: what is asked, how answers are read, and what follows for the weight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piranha.load import asker as asker_module
from piranha.load.answers import read_load, read_processors
from piranha.load.asker import Asker
from piranha.load.formula import LEAST, NEAR, WHOLE, next_share, wanted_share
from piranha.load.judgement import Answer, Judgement, answered, failed
from piranha.load.question import Question, Wish, question
from piranha.lvsd.busy import Busy
from piranha.lvsd.daemon import Daemon
from piranha.nanny import program

from .daemon_lab import Lab, shown
from .support import GLOBALS, WEB, made

LOADS = st.floats(0, 1e6)
PROCESSORS = st.integers(1, 512)
SHARES = st.integers(LEAST, WHOLE)


@pytest.mark.parametrize(
    ("output", "load"),
    [
        (b" 22:18:48 up 10 days,  2 users,  load average: 0.15, 0.10, 0.09\n", 0.15),
        (b"10:00  up 1 day, 2 users, load averages: 12.50 1.00 0.50\n", 12.5),
        (b" 22:18:48 up 1:02,  1 user,  load average: 1,25, 0,10, 0,09\n", 1.25),
        (b"web1          up  5+03:22,   3 users,  load 0.75, 0.10, 0.09\n", 0.75),
        (b"        web1    up   5 days,  3:22,    load average: 3.00, 1.10, 0.09\n", 3.0),
        (b"load average: 0, 1, 2\n", 0.0),
        (b"0.73\n", 0.73),
        (b"17", 17.0),
        (b"web1  down  3:22\n", None),
        (b"", None),
        (b"-1\n", None),
        (b"load average: nan\n", None),
        (b"load average: 1e9, 2, 3\n", None),
        (b"overload: 9.00\n", None),
    ],
)
def test_answers_are_read(output: bytes, load: float | None) -> None:
    assert read_load(output) == load


@given(st.binary(max_size=200) | st.from_regex(rb"load( average)?:? [0-9., e+-]{0,30}\n?"))
def test_any_answer_is_read_without_harm(output: bytes) -> None:
    load = read_load(output)
    assert load is None or 0 <= load < 1e6
    count = read_processors(output)
    assert count is None or 1 <= count <= 65536


@given(LOADS, PROCESSORS)
def test_the_share_is_bounded_and_whole_while_the_load_is_normal(
    load: float, processors: int
) -> None:
    share = wanted_share(load, processors)
    assert LEAST <= share <= WHOLE
    if load <= processors:
        assert share == WHOLE
    assert wanted_share(load * 2, processors * 2) == share


@given(SHARES, LOADS, LOADS, PROCESSORS)
def test_more_load_never_gives_more(before: int, one: float, two: float, processors: int) -> None:
    low, high = sorted((one, two))
    assert LEAST <= next_share(before, high, processors) <= next_share(before, low, processors)
    assert next_share(before, low, processors) <= WHOLE


@given(SHARES, LOADS, PROCESSORS)
def test_the_same_load_comes_to_rest_and_a_normal_one_at_the_configured_weight(
    share: int, load: float, processors: int
) -> None:
    for _unused in range(8):
        share = next_share(share, load, processors)
    assert next_share(share, load, processors) == share
    assert abs(share - wanted_share(load, processors)) < NEAR
    for _unused in range(8):
        share = next_share(share, 0.99, 1)
    assert share == WHOLE


SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "--", "192.0.2.1")


@pytest.mark.parametrize(
    ("monitor", "rsh", "processors", "command", "count"),
    [
        ("uptime", "ssh", None, (*SSH, "uptime"), (*SSH, "nproc")),
        ("uptime", "ssh", 4, (*SSH, "uptime"), None),
        (
            "uptime",
            "/usr/bin/ssh -l load",
            4,
            ("/usr/bin/ssh", "-l", "load", *SSH[1:], "uptime"),
            None,
        ),
        ("uptime", "rsh", 4, ("rsh", "192.0.2.1", "uptime"), None),
        ("rup", "ssh", None, ("rup", "192.0.2.1"), None),
        ("ruptime", "ssh", 2, ("ruptime", "192.0.2.1"), None),
        ("/usr/local/bin/load -q", "ssh", None, ("/usr/local/bin/load", "-q", "192.0.2.1"), None),
        ("snmp %h .1", "ssh", None, ("snmp", "192.0.2.1", ".1"), None),
        ("load; reboot", "ssh", None, ("load;", "reboot", "192.0.2.1"), None),
    ],
)
def test_a_question_is_an_argument_list(
    monitor: str,
    rsh: str,
    processors: int | None,
    command: tuple[str, ...],
    count: tuple[str, ...] | None,
) -> None:
    asked = question(Wish(monitor, rsh, 20, 5), "192.0.2.1", processors)
    assert asked is not None
    assert (asked.command, asked.count) == (command, count)
    assert asked.processors == (processors if count or processors else 1)


def test_who_wants_no_load_asks_nobody() -> None:
    assert question(None, "192.0.2.1", None) is None
    assert question(Wish("none", "ssh", 20, 5), "192.0.2.1", None) is None
    assert question(Wish("", "ssh", 20, 5), "192.0.2.1", None) is None


def test_a_failure_keeps_the_share_for_a_while_and_then_the_whole_weight_comes_back() -> None:
    asked = Question(("rup", "192.0.2.1"), 10, 2, 1)
    never = failed(Judgement(), "refused", asked, 5.0)
    assert (never.share, never.told) == (WHOLE, True)
    busy = answered(never, Answer(4.0, 1), 10.0)
    busy = answered(busy, Answer(4.0, 1), 20.0)
    assert (busy.share, busy.told, busy.problem) == (43, False, None)
    for now in (30.0, 40.0, 52.0):
        kept = failed(busy, "silent", asked, now)
        assert (kept.share, kept.told) == (43, False)
    gone = failed(busy, "silent", asked, 52.1)
    assert (gone.share, gone.told, gone.problem) == (WHOLE, True, "silent")


LOADED = GLOBALS + WEB.replace(
    "timeout = 2", "timeout = 2\n    load_monitor = uptime\n    load_processors = 2"
).replace("weight = 3", "weight = 30\n        load_processors = 8")


def test_servers_that_share_a_machine_are_asked_once_and_shares_outlive_a_reload() -> None:
    mail = LOADED[len(GLOBALS) :].replace("virtual web", "virtual mail").replace(".100", ".101")
    layout, busy = made(LOADED + mail), Busy()
    assert busy.configure(layout) == {}
    first, second = (server.load for server in layout.virtual[0].servers)
    assert first is not None
    assert second is not None
    assert list(busy.questions) == [first, second]
    assert (first.processors, second.processors) == (2, 8)
    shares, told = busy.record(first, Answer(20.0, 2), 1.0)
    assert set(shares.values()) == {55}
    assert [server.service.address for server in shares] == ["203.0.113.100", "203.0.113.101"]
    assert told == []
    again = busy.configure(made(LOADED))
    assert list(again.values()).count(55) == 1
    without = busy.configure(made(GLOBALS + WEB))
    assert set(without.values()) == {WHOLE}
    assert list(busy.questions) == []


def test_what_cannot_be_asked_is_told_once_and_when_it_is_over() -> None:
    layout, busy = made(LOADED), Busy()
    busy.configure(layout)
    asked = layout.virtual[0].servers[0].load
    assert asked is not None
    _shares, (event,) = busy.record(asked, "ssh ended with status 255", 1.0)
    assert event["level"] == "warning"
    assert event["text"] == (
        "the load of real server 192.0.2.21 is unknown: ssh ended with status 255; "
        "it has its configured weight"
    )
    assert busy.record(asked, "ssh ended with status 255", 2.0)[1] == []
    _shares, (event,) = busy.record(asked, Answer(0.1, 2), 3.0)
    assert event["text"].endswith("is known again")


def script(path: Path, text: str) -> str:
    """A program that only root could have put there, as those who run it demand."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def until(true: Callable[[], bool], limit: float = 5.0) -> None:
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may own programs, below a folder that others could write to."""
    monkeypatch.setattr(program, "unsafe", lambda _status, _trusted: None)


@pytest.mark.usefixtures("trusting")
def test_processors_are_asked_for_once_and_a_hanging_program_ends_with_its_group(
    tmp_path: Path,
) -> None:
    ssh = script(
        tmp_path / "ssh",
        f'echo "$@" >> {tmp_path}/asked\n'
        "for word; do last=$word; done\n"
        'if [ "$last" = nproc ]; then echo 4; else echo "load average: 8.00, 1, 1"; fi',
    )
    hangs = script(tmp_path / "hangs", f"sleep 77 & echo $! > {tmp_path}/child; wait")
    told: list[tuple[Question, Answer | str]] = []

    async def story() -> None:
        asker = Asker(lambda asked, answer: told.append((asked, answer)))
        good = question(Wish("uptime", ssh, 0.1, 5), "192.0.2.1", None)
        bad = question(Wish(hangs, ssh, 0.5, 0.3), "192.0.2.1", None)
        assert good is not None
        assert bad is not None
        asker.want([good, bad])
        await until(lambda: sum(asked is good for asked, _answer in told) > 2)
        await until(lambda: any(asked is bad for asked, _answer in told))
        asker.want([good])
        await asker.stop()

    asyncio.run(story())
    answers = [answer for _asked, answer in told]
    assert Answer(8.0, 4) in answers
    assert f"{hangs} did not end within 0.3 s and was killed" in answers
    lines = (tmp_path / "asked").read_text().splitlines()
    assert lines[0] == "-o BatchMode=yes -o ConnectTimeout=1 -- 192.0.2.1 uptime"
    assert sum(line.endswith("nproc") for line in lines) == 1
    stat = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_program_that_others_could_change_is_not_run(tmp_path: Path) -> None:
    path = script(tmp_path / "mine", "echo 1")
    Path(path).chmod(0o777)
    told: list[Answer | str] = []

    async def story() -> None:
        asker = Asker(lambda _asked, answer: told.append(answer))
        asked = question(Wish(path, "ssh", 0.1, 5), "192.0.2.1", None)
        assert asked is not None
        asker.want([asked])
        await until(lambda: bool(told))
        await asker.stop()

    asyncio.run(story())
    assert "was not run, since" in str(told[0])


@pytest.mark.usefixtures("trusting")
def test_a_busy_server_gets_less_and_comes_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker_module, "AT_ONCE", 2)
    number = lab.folder / "load"
    number.write_text("1")
    monitor = script(lab.folder / "ask", f"cat {number}")
    lab.write(f'    load_monitor = "{monitor} %h"\n    load_interval = 1', weight=100)

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 100, 1: 100})
        number.write_text("5")
        await lab.until({0: 60, 1: 60})
        (virtual,) = shown(daemon)
        assert virtual["servers"][0]["busy"]["average"] == 5
        assert virtual["servers"][0]["reason"].startswith("busy, 60 % of its weight; ")
        number.write_text("no number")
        assert daemon.reload() == []
        assert lab.weights() == {0: 60, 1: 60}
        number.write_text("0.5")
        await lab.until({0: 100, 1: 100}, limit=6)

    lab.run(story)
    assert lab.ears.texts("DOWN") == []
