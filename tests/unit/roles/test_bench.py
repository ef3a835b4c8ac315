# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark of site.yml makes of what its callback has written down."""

from __future__ import annotations

from typing import Any

from tests.bench.site_yml import MOST_TASKS, Run, faults, report, sum_up


def row(
    number: int, task: str, host: str, state: str = "ok", seconds: float = 1.0
) -> dict[str, Any]:
    """Give what the callback writes of one host and one task."""
    return {"number": number, "task": task, "host": host, "state": state, "seconds": seconds}


def test_a_task_lasts_until_its_last_host_and_hosts_are_counted_alone() -> None:
    run = sum_up(
        [
            row(1, "look", "lvs1", seconds=1.0),
            row(1, "look", "lvs2", seconds=3.0),
            row(2, "write", "lvs1", "changed"),
            row(2, "write", "lvs2", "skipped", 0.1),
            row(3, "look", "web1", seconds=0.5),
        ],
        9.0,
    )
    assert run == Run(
        9.0, {"look": 3.5, "write": 1.0}, {"lvs1": 2, "lvs2": 1, "web1": 1}, {"lvs2": 1}, 1
    )


def test_what_is_promised_is_judged() -> None:
    good = sum_up([row(1, "write", "lvs1", "changed")], 1.0)
    still = sum_up([row(1, "write", "lvs1")], 1.0)
    assert faults(good, still) == []
    assert faults(good, good) == ["the second run changed 1 things"]
    assert len(faults(still, still)) == 1
    long = sum_up([row(n, f"task {n}", "lvs1", "changed") for n in range(MOST_TASKS + 1)], 1.0)
    assert faults(long, still) == ["lvs1 ran 41 tasks, and 40 are promised"]
    assert any("41 tasks" in line for line in report(long, still))
