# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken out of README's quickstart. The lab runs it: tests/gates/quickstart.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gates.machine import Trouble
from tests.gates.quickstart import changed, commands, section

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def test_the_commands_are_those_of_the_quickstart() -> None:
    blocks = section(README)
    assert [argv[0] for argv in commands(blocks, "$")] == [
        "ansible-galaxy", "ansible-playbook", "ansible-playbook"]
    assert [argv[0] for argv in commands(blocks, "#")] == ["ipvsadm", "piranha"]


def test_the_inventory_has_twelve_lines_and_the_playbook_six_at_most() -> None:
    files = {text.splitlines()[0]: text for language, text in section(README) if language == "yaml"}
    assert len(files["# inventory.yml"].splitlines()) - 1 <= 12
    assert len(files["# site.yml"].splitlines()) - 1 <= 6
    assert any(language == "diff" for language, _text in section(README))


def test_changes_are_counted_over_all_machines() -> None:
    assert changed("lvs1 : ok=3 changed=2 failed=0\nweb1 : ok=3 changed=11") == 13
    with pytest.raises(Trouble):
        section("# no quickstart\n")
