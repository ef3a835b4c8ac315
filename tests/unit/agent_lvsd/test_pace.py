# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds that take longer come less often, within bounds."""

from __future__ import annotations

import pytest
from piranha.lvsd import pace as pace_module
from piranha.lvsd.pace import Pace


@pytest.mark.parametrize(("took", "gap"), [(0.0, 0.1), (0.005, 0.1), (0.05, 0.5), (3.0, 1.0)])
def test_the_next_round_waits_in_proportion(
    monkeypatch: pytest.MonkeyPatch, took: float, gap: float
) -> None:
    times = iter([5.0, 5.0 + took])
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: next(times))
    pace = Pace(0.1, 10.0, 1.0)
    assert pace.gap == 0.1
    with pace:
        pass
    assert pace.gap == pytest.approx(gap)


def test_a_round_that_fails_is_measured_too() -> None:
    pace = Pace(0.0, 1.0, 1.0)
    with pytest.raises(RuntimeError), pace:
        raise RuntimeError
    assert pace.gap > 0.0
