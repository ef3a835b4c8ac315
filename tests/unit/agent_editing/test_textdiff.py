# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference of texts: patch(1) makes the one of the other by it, and large ones are quick."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from piranha.editing.textdiff import unified

LINES = st.lists(st.sampled_from(["a", "b", "}", "", "  x", "one", "two", "three"]), max_size=30)


def applied(before: list[str], difference: list[str]) -> list[str]:
    """What the difference makes of a text, by its own words alone."""
    made: list[str] = []
    at = 0
    for line in difference:
        if line.startswith("@@"):
            start, _comma, length = line.split()[1][1:].partition(",")
            begin = int(start) - (1 if length != "0" else 0)
            made += before[at:begin]
            at = begin
        elif line[0] in " -":
            assert before[at] == line[1:]
            made += [line[1:]] if line[0] == " " else []
            at += 1
        else:
            made.append(line[1:])
    return made + before[at:]


@settings(max_examples=300)
@given(LINES, LINES)
def test_it_makes_the_one_text_of_the_other(before: list[str], after: list[str]) -> None:
    difference = list(unified(before, after))
    assert applied(before, difference) == after
    assert (difference == []) == (before == after)


def test_patch_understands_it(tmp_path: Path) -> None:
    before = [f"line {number}" for number in range(60)]
    after = [*before[:3], "new", *before[5:30], "other", *before[31:], "end"]
    (tmp_path / "file").write_text("\n".join(before) + "\n")
    text = "\n".join(["--- file", "+++ file", *unified(before, after)]) + "\n"
    subprocess.run(
        ["git", "apply", "-"], input=text, text=True, cwd=tmp_path, check=True, timeout=20
    )
    assert (tmp_path / "file").read_text().splitlines() == after


def test_sixty_thousand_lines_that_look_alike_take_no_minutes() -> None:
    def lines(weight: int) -> list[str]:
        found = []
        for number in range(12_000):
            found += [f"    server s{number % 16} {{", f"        address = 10.0.{number}"]
            found += ["        active = 1", f"        weight = {weight}", "    }"]
        return found

    began = time.monotonic()
    difference = list(unified(lines(1), lines(2)))
    # 0.5 s on an idle machine; difflib alone needs minutes.
    assert time.monotonic() - began < 20
    assert difference.count("-        weight = 1") == 12_000
    one = lines(1)
    one[30_003] = "        weight = 9"
    assert len(list(unified(lines(1), one))) == 1 + 3 + 2 + 3
