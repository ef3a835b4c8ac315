# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a directive or a code is true of the language itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.document import ASSIGNMENT, parse
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.explain import (
    directives_of,
    entry,
    explain,
    explain_code,
    guess,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.findings import CODES
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import read_value


@pytest.mark.parametrize("row", d.DIRECTIVES, ids=lambda row: f"{row.where}-{row.name}")
def test_the_example_of_a_directive_is_accepted(row: d.Directive) -> None:
    (line,) = parse(entry(row).example + "\n").root.lines()
    assert (line.kind, line.key) == (ASSIGNMENT, row.name)
    assert read_value(row, line.args).notes == ()


def test_a_directive_is_explained_for_each_block_that_takes_it() -> None:
    first, second = explain("port")
    assert (first.where, second.where) == ("in virtual and failover blocks", "in server blocks")
    assert (first.default, second.default) == ("80", "unset")
    assert first.value == "port number or service name, 0 to 65535"
    assert explain("prot") == []


def test_a_choice_names_its_choices_and_other_spellings() -> None:
    (scheduler,) = explain("scheduler")
    assert scheduler.value.startswith("one of `rr`, `wrr`, ")
    assert scheduler.value.endswith("; `pcc` means `lc`")


def test_every_code_is_explained_and_says_whether_it_can_be_silenced() -> None:
    for code in CODES:
        told = explain_code(code.lower())
        assert told is not None
        assert told.meaning == CODES[code]
        assert ("no comment silences it" in told.remark) == (code[0] == "E")
        assert ("--on-this-host" in told.remark) == (code[1] == "5")
    assert explain_code("E999") is None


def test_the_directives_of_a_block_and_what_was_meant() -> None:
    assert directives_of("failover") == directives_of("virtual")
    assert directives_of("server")[0].name == "address"
    assert (guess("uthreshold"), guess("tun-port")) == ("upper_threshold", "tunnel_port")
    assert (guess("shceduler"), guess("virtul"), guess("xyzzy")) == ("scheduler", "virtual", "")


def test_every_code_that_the_library_uses_has_its_meaning() -> None:
    folder = Path(explain.__code__.co_filename).parent
    used = {
        code
        for path in folder.glob("*.py")
        for code in re.findall(r'"([EWA][0-9]{3})"', path.read_text(encoding="utf-8"))
    }
    assert len(used) > 30
    assert used - set(CODES) == set()
