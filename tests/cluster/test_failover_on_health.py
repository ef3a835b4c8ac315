# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`failover_on = health` with whole agents: who reaches no real server gives the addresses away.

The active router's cable to the real servers is cut and nothing else: both routers run, and hear
each other. Slow by nature, for several checks must fail and a worse health must last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import CONFIG, DEADTIME, PRIVATE, SWITCH, Cluster, Router, run, soon
from tests.cluster.traffic import summary

pytestmark = pytest.mark.whole


@pytest.fixture
def cluster(built: Cluster) -> Iterator[Cluster]:
    """The cluster with all cables and without an agent."""
    yield built
    built.stop()
    for router in built.routers.values():
        cut(router, up=True)


def cut(router: Router, up: bool = False) -> None:
    """Cut its cable to the real servers, or mend it."""
    run("ip", "-n", SWITCH, "link", "set", f"{router.name}-{PRIVATE[:4]}", "up" if up else "down")


def able(router: Router) -> int:
    """Give how many virtual services of the one it can serve."""
    lvsd = router.status().get("lvsd") or {}
    return int(lvsd.get("services", 0)) - len(lvsd.get("without_server") or ())


@pytest.mark.parametrize("wanted", [True, False])
def test_a_router_that_reaches_no_real_server_lets_the_partner_take_over_if_wanted(
    cluster: Cluster, wanted: bool
) -> None:
    cluster.write(("failover_on = health\n" if wanted else "") + CONFIG)
    cluster.start()
    r1, r2 = cluster.routers["r1"], cluster.routers["r2"]
    soon(lambda: able(r1) == able(r2) == 1, "both can serve")
    time.sleep(2 * DEADTIME)
    assert r1.state() == "active", "nobody is worse than the other"
    cut(r1)
    soon(lambda: able(r1) == 0, "r1 reaches no server")
    if not wanted:
        time.sleep(10 + 2 * DEADTIME)
        assert r1.state() == "active", "as it is without the directive"
        assert r2.state() == "standby"
        return
    soon(lambda: r2.state() == "active", "r2 has taken over")
    soon(lambda: r1.state() == "standby", "r1 is standby, and not at fault")
    assert (bool(r1.holds()), bool(r2.holds())) == (False, True)
    with cluster.traffic() as requests:
        time.sleep(2)
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert set(figures.servers) == {"rs1", "rs2"}
    cut(r1, up=True)
    soon(lambda: able(r1) == 1, "r1 reaches them again")
    time.sleep(10 + 2 * DEADTIME)
    assert r2.state() == "active", "nothing comes back by itself"
    assert r1.state() == "standby"
