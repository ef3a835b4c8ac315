# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of `config check`: what it feeds in is sound, and its judgement can be bad."""

from __future__ import annotations

import pytest
from piranha.core.lvs_cf.api import load

from tests.bench.lvs_cf import Cost, judge, lvs_cf, measured


def test_the_file_is_of_the_size_asked_for_and_without_a_finding() -> None:
    loaded = load("\n".join(lvs_cf(300, 3)))
    assert loaded.report() == []
    assert [len(block.servers) for block in loaded.config.virtual] == [3] * 300


@pytest.mark.parametrize(
    ("few", "many", "good"),
    [
        (Cost(1.0, 0.4, 60), Cost(4.0, 1.6, 190), True),
        (Cost(1.6, 1.6, 60), Cost(6.4, 6.4, 190), False),
        (Cost(1.0, 0.4, 160), Cost(4.0, 1.6, 190), False),
        (Cost(1.0, 0.4, 60), Cost(4.0, 2.4, 190), False),
    ],
)
def test_a_broken_limit_and_a_cost_that_bends_are_bad(few: Cost, many: Cost, good: bool) -> None:
    assert judge({1000: few, 4000: many}) is good


def test_a_process_is_measured_whole() -> None:
    code = "import time; data = bytearray(50_000_000); time.sleep(0.2)"
    cost = measured(["/usr/bin/python3", "-c", code], {})
    assert cost.wall >= 0.2 > cost.processor
    assert cost.memory > 45  # at least; the test runner's own memory counts too
    with pytest.raises(SystemExit, match="ended with 3"):
        measured(["/usr/bin/python3", "-c", "raise SystemExit(3)"], {})
