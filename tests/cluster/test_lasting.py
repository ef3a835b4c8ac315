# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that last, of every age, through a switchover and through a power cut.

Runs inside a kernel with IPVS: tests/lab/in-ipvs-kernel .venv/bin/python -m pytest tests/cluster
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.lasting_lab import How, built, by_age, crash, lose_router, start, switchover

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with built() as made:
        yield made


@pytest.mark.parametrize("how", [switchover, crash])
def test_no_connection_that_the_partner_must_know_is_lost(cluster: Cluster, how: How) -> None:
    found = lose_router(cluster, how)
    print(f"kept, of an age from 0, 1, 2, 3, 4 s on: {by_age(found)}")
    known = [one for one in found if one.known]
    assert len(known) >= 10
    assert [one for one in known if one.lost is not None] == []
    if how is switchover:
        assert [one for one in found if one.lost is not None] == [], "those are handed over"
        cluster.stop()
        start(cluster)
