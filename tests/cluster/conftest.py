# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests start with: a network with two hearts in it, or a whole cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, Router, standing
from tests.cluster.heart_lab import Heart, Net, network, settle, two_hearts

Three = tuple[Net, Heart, Heart]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    """One network for all tests of a file."""
    with network() as made:
        yield made


@pytest.fixture
def three(net: Net, tmp_path: Path) -> Iterator[Three]:
    """The network, the primary's heart and the backup's; neither is started."""
    with two_hearts(net, tmp_path) as (primary, backup):
        yield net, primary, backup


@pytest.fixture
def settled(three: Three) -> Three:
    """The same with both started, the primary active and each knowing the other."""
    _net, primary, backup = three
    primary.start()
    backup.start()
    settle(primary, backup)
    return three


@pytest.fixture(scope="module")
def built() -> Iterator[Cluster]:
    """Two routers, two real servers and a client for all tests of a file; no agent runs yet."""
    with standing(Cluster(Path("/run/cluster-test"))) as made:
        yield made


@pytest.fixture
def cluster(built: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with both agents as they are when started; those that run, if they are so."""
    if not built.as_started():
        built.stop()
        built.write()
        built.start()
    try:
        yield built
    finally:
        for router in built.routers.values():
            print(f"--- log of {router.name}\n{router.log()}")
            (router.folder / "log").write_text("", encoding="utf-8")


@pytest.fixture
def r1(cluster: Cluster) -> Router:
    return cluster.routers["r1"]


@pytest.fixture
def r2(cluster: Cluster) -> Router:
    return cluster.routers["r2"]
