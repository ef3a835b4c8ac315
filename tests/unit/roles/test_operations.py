# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/operations.md says that playbooks print is what their tasks are called."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLAYBOOKS = ROOT / "playbooks"


def names(path: Path) -> set[str]:
    """Give what plays and tasks are called in a file and in those that it takes in."""
    text = path.read_text(encoding="utf-8")
    found = set(re.findall(r"(?m)^ *- name: (.*)$", text))
    for other in re.findall(r"(?:import|include)_tasks: (\S+)$", text, re.MULTILINE):
        found |= names(path.parent / other)
    for part in re.findall(r"tasks_from: (\S+)$", text, re.MULTILINE):
        found |= names(ROOT / "roles/piranha_router/tasks" / part)
    return found


def test_tasks_to_look_for_are_there_and_no_playbook_is_left_out() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = text.partition("\n## What they print\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", section)
    handlers = names(ROOT / "roles/piranha_router/handlers/main.yml")
    for playbook, told in rows:
        said = set(re.findall(r"`([^`]+)`", told))
        assert said
        assert said <= names(PLAYBOOKS / f"{playbook}.yml") | handlers, playbook
    elsewhere = {"site", "who_is_who", "check"}  # README, part of the others, the section before
    assert {playbook for playbook, _told in rows} == {
        path.stem for path in PLAYBOOKS.glob("*.yml")
    } - elsewhere
