# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks of whole programs: both get the same cluster, and the judgement can be bad."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from piranha.core.lvs_cf.api import load

from tests.bench import start, takeover
from tests.bench.checks import Measured, judge
from tests.bench.fleet import (
    Servers,
    Spent,
    Wanted,
    address,
    keepalived_conf,
    lvs_cf,
    proportional,
    spent,
    until,
)
from tests.bench.leftover import Leftover


def test_both_programs_get_the_same_servers() -> None:
    wanted = Wanted(4, 3, check="http")
    text = lvs_cf(wanted, {5: 7})
    loaded = load(text)
    assert loaded.errors == []
    ours = re.findall(r"address = (10\.\S+)\n.*\n.*\n +weight = (\d+)", text)
    theirs = re.findall(r"real_server (\S+) 80 \{\n weight (\d+)", keepalived_conf(wanted, {5: 7}))
    assert ours == theirs
    assert len(ours) == wanted.total == 12
    assert ours[5][1] == "7"


def test_ten_thousand_addresses_are_ten_thousand() -> None:
    made = {address(number) for number in range(101_000)}
    assert len(made) == 101_000
    assert all(max(map(int, one.split("."))) <= 255 for one in made)


GOOD = Measured(1.0, 0.1, Spent(1.0, 1.0), 3.0, {"lvsd 2": 20.0, "pulse 1": 30.0})
PEER = Measured(1.0, 0.2, Spent(2.0, 1.0), 3.2, {"keepalived 1": 5.0})


@pytest.mark.parametrize(
    ("ours", "good"),
    [
        (GOOD, True),
        (GOOD._replace(taken=0.31), False),
        (GOOD._replace(down=4.0), False),
        (GOOD._replace(memory={"lvsd 2": 41.0}), False),
        (GOOD._replace(memory={"lvsd 2": 30.0, "pulse 1": 61.0}), False),
    ],
)
def test_a_broken_limit_is_bad(ours: Measured, good: bool) -> None:
    assert judge("tcp", ours, PEER) is good


def test_what_is_left_of_the_processor_is_counted(tmp_path: Path) -> None:
    with Leftover(tmp_path) as leftover:
        # Nothing may be left for a while, where others are busy.
        until(lambda: leftover.rate(0.3) > 0, 20, "it counts")
        os.kill(leftover.pid, signal.SIGSTOP)
        until(lambda: leftover.rate(0.01) == 0, 20, "whoever does not run counts nothing")
        assert os.sched_getscheduler(leftover.pid) == os.SCHED_IDLE


@pytest.mark.parametrize(
    ("ours", "good"),
    [
        (start.Measured(8.0, 1.0), True),
        (start.Measured(8.1, 1.0), False),
        (start.Measured(8.0, 1.1), False),
    ],
)
def test_a_slow_start_or_reload_is_bad(ours: start.Measured, good: bool) -> None:
    assert start.judge(ours, start.Measured(4.0, 1.0)) is good


def test_a_reload_that_never_ends_is_bad_however_long_the_other_takes() -> None:
    endless = start.Measured(1.0, start.RELOAD_LIMIT)
    assert not start.judge(endless, endless)
    assert start.judge(start.Measured(1.0, 1.0), endless)


def test_processor_time_and_memory_are_this_process_s() -> None:
    before = spent([os.getpid()])
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    assert 0.2 < (spent([os.getpid()]) - before).both < 1.0
    held = bytearray(30 << 20)
    full = proportional(os.getpid())
    del held
    assert full - proportional(os.getpid()) > 20


def test_what_never_comes_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match=r"waited 0\.1 s in vain until it rains"):
        until(lambda: False, 0.1, "it rains", 0.02)


def test_the_crowd_tells_how_often_it_is_visited() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    servers = Servers("connect", port)
    try:
        for _unused in range(3):
            socket.create_connection(("127.0.0.9", port), 5).close()
            time.sleep(0.1)
        told = servers.gaps()
    finally:
        servers.die()
    assert told["count"] == 2
    assert 0.08 < told["usual"] <= told["longest"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.9", port), 5)


def test_a_piece_of_the_takeovers_with_many_addresses_is_judged_by_the_same_with_one() -> None:
    few, many = rows = takeover.rows_of(["stop200-0.1", "stop-0.1"])
    assert [(row.name, row.interval) for row in rows] == [("stop", 0.1), ("stop200", 0.1)]
    few.ours, many.ours = [0.004, 0.006], [0.058]
    takeover.compare(many, rows)
    assert not many.kept, "55 ms is the limit, not 65"
    many.ours = [0.054]
    assert many.kept
    whole = takeover.rows_of([])
    assert len(whole) == len(takeover.PIECES)
    assert {row.name for row in whole} >= {"crash200", "stop200", "hang200"}
