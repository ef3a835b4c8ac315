# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text read by pieces means what it means read whole, whatever was read before."""

from __future__ import annotations

import operator

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import pieces
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import digest, load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.pieces import Reader
from hypothesis import given
from hypothesis import strategies as st

from .cluster import CLUSTER, QUIET

TOP = QUIET[: QUIET.index("virtual web")]


def block(number: int, more: str = "") -> str:
    """One virtual server with two real servers."""
    servers = "".join(
        f"    server s{one} {{\n        address = 198.51.100.{one}\n        active = 1\n"
        f"        weight = {number + one}\n    }}\n"
        for one in (11, 12)
    )
    return (
        f"virtual web{number} {{\n    active = 1\n    address = 192.0.2.{number + 80} eth0:1\n"
        f"    port = 80\n{more}{servers}}}\n"
    )


SEVERAL = TOP + "\n".join(map(block, range(4)))
FOREIGN = (
    "}",
    "{",
    "",
    "# a remark",
    "    weight = 5",
    "    weight = x",
    "    port = 0120",
    "    pmask = all",
    "network = direct",
    "keepalive = 1",
    "deadtime = 1",
    "service = fos",
    "virtual web1 {",
    "failover one {",
    "server s {",
    "    address = 192.0.2.81 eth0:1",
    "    forward = tunnel",
    "    quorum = 9",
    "# piranha: ignore-file=W304",
    "    ports = [ 80 443 ]",
    '    send = "',
    "\ufeff",
    "a\x01b",
    "\r",
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(("insert", "remove", "repeat", "move")),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.sampled_from(FOREIGN),
    ),
    max_size=4,
)


def edited(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    """The text after some edits of whole lines."""
    lines = text.split("\n")
    for how, first, second, foreign in edits:
        position, length = first % len(lines), 1 + second % 12
        if how == "insert":
            lines.insert(position, foreign)
        elif how == "remove":
            del lines[position : position + length % 3 + 1]
        else:
            part = lines[position : position + length]
            if how == "move":
                del lines[position : position + length]
            target = second % (len(lines) + 1)
            lines[target:target] = part
        lines = lines or [""]
    return "\n".join(lines)


def same(reader: Reader, text: str) -> pieces.Reading:
    """Read a text both ways and compare all of it."""
    whole, reading = load(text), reader.load(text)
    assert reading.config == whole.config
    assert reading.findings == whole.findings
    assert reader.digest(reading) == digest(whole.config)
    return reading


@given(st.sampled_from((QUIET, SEVERAL, CLUSTER)), st.lists(EDITS, min_size=1, max_size=3))
def test_by_pieces_and_whole_are_the_same(
    text: str, rounds: list[list[tuple[str, int, int, str]]]
) -> None:
    reader = Reader()
    same(reader, text)
    for edits in rounds:
        same(reader, edited(text, edits))
    same(reader, text)


def test_blocks_whose_text_is_the_same_are_the_same_objects() -> None:
    reader = Reader()
    before = same(reader, SEVERAL).config.virtual
    after = same(reader, SEVERAL.replace("weight = 13", "weight = 7")).config.virtual
    assert list(map(operator.is_, before, after)) == [True, False, False, True]
    # Wherever they stand now, and whatever was wrong in between.
    assert reader.load("virtual {").findings
    moved = same(reader, TOP + block(9) + SEVERAL[len(TOP) :]).config.virtual
    assert moved[1] is before[0]
    assert moved[4] is after[3]


def test_findings_move_with_a_block_that_is_known() -> None:
    reader = Reader()
    bare = SEVERAL.replace("eth0:1", "eth0", 3)
    assert [found.code for found in same(reader, bare).findings] == ["A301"] * 3
    before = reader.load(bare).findings
    after = same(reader, bare.replace("keepalive = 2", "# two lines\n\nkeepalive = 2")).findings
    assert [found.line for found in after] == [found.line + 2 for found in before]


def test_what_follows_from_the_top_reaches_blocks_that_are_known() -> None:
    reader = Reader()
    same(reader, SEVERAL)
    other = same(reader, "network = direct\n" + SEVERAL)
    assert {one.settings["forward"] for one in other.config.virtual} == {"direct"}
    assert {one.settings["forward"] for one in same(reader, SEVERAL).config.virtual} == {"nat"}


def test_only_what_changed_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    reader.load(SEVERAL)
    parsed: list[str] = []

    def parse(text: str) -> object:
        parsed.append(text)
        return real(text)

    real = pieces.parse
    monkeypatch.setattr(pieces, "parse", parse)
    reader.load(SEVERAL.replace("192.0.2.82", "192.0.2.92"))
    assert len(parsed) == 2
    assert parsed[0] == TOP
    assert "192.0.2.92" in parsed[1]
