# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""README's tables name every module, filter, inventory plugin, role and playbook, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# A table's first heading -> where its names come from.
TABLES = {
    "module": "plugins/modules/*.py",
    "filter": "plugins/filter/*.py",
    "inventory plugin": "plugins/inventory/*.py",
    "role": "roles/*",
    "playbook": "playbooks/*.yml",
}
# Not for users: other playbooks import it.
PRIVATE = {"who_is_who"}


def named(heading: str) -> set[str]:
    """The names in the first column of the table with that heading."""
    table = re.search(rf"^\| {heading} \| what it does \|\n\|.*\n((?:\|.*\n)+)", README, re.M)
    assert table is not None, f"README has no table of each {heading}"
    first = [row.split("|")[1] for row in table[1].splitlines()]
    return {name.rpartition(".")[2] for cell in first for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_is_whole(heading: str) -> None:
    there = {path.stem for path in ROOT.glob(TABLES[heading])} - PRIVATE
    assert named(heading) == there
