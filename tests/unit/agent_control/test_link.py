# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON line link: whole lines, never blocking, bounded."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from piranha.control.link import MAX_LINE, Lines, Link


@pytest.fixture
def pair() -> Iterator[tuple[Link, Link]]:
    one, two = socket.socketpair()
    links = Link(one), Link(two)
    yield links
    for link in links:
        link.close()


def test_messages_arrive_whole_and_in_order(pair: tuple[Link, Link]) -> None:
    one, two = pair
    assert one.send({"tick": 1.5})
    assert one.send({"event": {"text": "näh\n"}})
    assert two.receive() == [{"tick": 1.5}, {"event": {"text": "näh\n"}}]
    assert two.receive() == []
    assert not two.closed


def test_any_cut_gives_the_same_messages() -> None:
    data = b'{"a":1}\n\n{"b":[2,3]}\n{"c":"x"}\n'
    expected = [{"a": 1}, {"b": [2, 3]}, {"c": "x"}]
    for size in range(1, len(data) + 1):
        lines = Lines()
        got = [m for i in range(0, len(data), size) for m in lines.feed(data[i : i + size])]
        assert got == expected
        assert lines.faults == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"nonsense", "not JSON"),
        (b"[1,2]", "JSON list"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100000, "not JSON"),
        (b"x" * 200001, "longer than 200000 bytes"),
    ],
)
def test_a_bad_line_is_a_sentence_and_the_next_one_counts(line: bytes, word: str) -> None:
    lines = Lines(max_line=200000)
    assert lines.feed(line + b'\n{"ok":1}\n') == [{"ok": 1}]
    assert len(lines.faults) == 1
    assert word in lines.faults[0]


def test_a_long_line_in_pieces_is_not_kept_in_memory() -> None:
    lines = Lines(max_line=100)
    for _unused in range(1000):
        assert lines.feed(b"y" * 90) == []
    assert len(lines._rest) <= 100
    assert lines.feed(b'\n{"ok":1}\n') == [{"ok": 1}]
    assert len(lines.faults) == 1


def test_a_reader_that_sleeps_never_blocks_the_sender(pair: tuple[Link, Link]) -> None:
    one, two = pair
    text = "x" * 10000
    start = time.monotonic()
    results = [one.send({"n": n, "text": text}) for n in range(500)]
    assert time.monotonic() - start < 2
    assert not all(results)
    assert one.dropped == results.count(False)

    # What was taken arrives whole and in order, what was dropped leaves no trace.
    got = []
    for _unused in range(10000):
        got += two.receive()
        if not one.wants_write and len(got) == results.count(True):
            break
        one.flush()
    assert [m["n"] for m in got] == [n for n, sent in enumerate(results) if sent]
    assert two.faults == []
    assert one.send({"n": "again"})
    assert two.receive() == [{"n": "again"}]


def test_a_large_message_into_an_idle_link_is_taken(pair: tuple[Link, Link]) -> None:
    one, two = pair
    assert one.send({"state": "s" * 3_000_000})
    got = []
    for _unused in range(1000):
        got += two.receive()
        one.flush()
        if got:
            break
    assert len(got[0]["state"]) == 3_000_000


def test_more_than_a_line_may_hold_is_dropped_whole(pair: tuple[Link, Link]) -> None:
    one, two = pair
    assert not one.send({"state": "s" * MAX_LINE})
    assert one.dropped == 1
    assert one.send({"a": 1})
    assert two.receive() == [{"a": 1}]


def test_a_closed_other_side_is_noticed_not_raised(pair: tuple[Link, Link]) -> None:
    one, two = pair
    two.close()
    assert one.receive() == []
    assert one.closed
    assert not one.send({"a": 1})
    assert one.dropped == 1
