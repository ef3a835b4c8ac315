# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What README quotes of `piranha status` is what the agent says, word for word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLE = re.search(r"^\| `piranha status` says \|.*\n\|.*\n((?:\|.*\n)+)", README, re.MULTILINE)


def literals() -> Iterator[str]:
    """Every text in the sources of heart and status, as Python joins them."""
    sources = ROOT / "files/piranha-agent/src/piranha"
    for path in [*sources.glob("pulse/*.py"), sources / "control/render.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quoted() -> list[str]:
    assert TABLE is not None, "README tells nothing of what piranha status says"
    first = [row.split("|")[1] for row in TABLE[1].splitlines()]
    return [words for cell in first for words in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("words", quoted())
def test_the_agent_says_so(words: str) -> None:
    assert any(words in text for text in literals())
