# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block marked as lvs.cf in README and the guides is one, without an error."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from piranha.core.lvs_cf.api import load

ROOT = Path(__file__).parents[3]
FENCE = re.compile(r"^```lvs\.cf\n(.*?)^```", re.MULTILINE | re.DOTALL)
# docs/config.md shows what the checker says of a mistake; another test compares that.
WANTED = {"config.md:0": {"E201"}}
BLOCKS = [
    pytest.param(text, WANTED.get(f"{path.name}:{number}", set()), id=f"{path.name}:{number}")
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
    for number, text in enumerate(FENCE.findall(path.read_text(encoding="utf-8")))
]
AROUND = "primary = 192.0.2.1\nnetwork = direct\nvirtual x {{\n{}\n}}\n"


def whole(text: str) -> str:
    """The text, or what belongs into a virtual server with one around it."""
    return AROUND.format(text) if text.startswith(" ") else text


@pytest.mark.parametrize(("text", "wanted"), BLOCKS)
def test_a_block_is_an_lvs_cf(text: str, wanted: set[str]) -> None:
    assert {found.code for found in load(whole(text)).errors} == wanted


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 4
    assert load(whole(textwrap.indent("shceduler = rr", "    "))).errors
