# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failover services on two whole agents: nginx and redis move on crash of service, node and link.

Real programs, real kills, traffic all the while, and a look every 10 ms that never both run one.
There is no systemd here, so commands run the plain way; systemd's is in test_systemd.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import DEADTIME, PRIVATE, PUBLIC, Router, run, soon
from tests.cluster.fos_lab import PORTS, FosCluster, FosRouter, config
from tests.cluster.traffic import summary

ALL = set(PORTS)
HOOKED = f'deadtime = {DEADTIME}\nnotify_cmd = "/etc/piranha/notify"'


@pytest.fixture(scope="module")
def built() -> Iterator[FosCluster]:
    made = FosCluster(Path("/run/cluster-test"))
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture
def cluster(built: FosCluster, request: pytest.FixtureRequest) -> Iterator[FosCluster]:
    """The cluster with both agents started, everything on r1; `text` may come as a parameter."""
    built.write(getattr(request, "param", None) or config())
    try:
        built.start()
        yield built
    finally:
        built.stop()
        for router in built.routers.values():
            print(f"--- log of {router.name}\n{router.log()}")
            (router.folder / "log").write_text("", encoding="utf-8")


@pytest.fixture
def r1(cluster: FosCluster) -> FosRouter:
    return cluster.pair["r1"]


@pytest.fixture
def r2(cluster: FosCluster) -> FosRouter:
    return cluster.pair["r2"]


def moved_on(router: FosRouter, restarts: object) -> bool:
    return router.service("web").get("restarts") != restarts or told(router, "go to the partner")


def told(router: Router, part: str) -> bool:
    return any(part in text for text in router.events())


def test_services_run_where_the_address_is_and_an_orderly_stop_moves_them(
    cluster: FosCluster, r1: FosRouter, r2: FosRouter
) -> None:
    shown = r1.shown()
    assert "RUNNING" in shown
    assert "tcp 203.0.113.10:6379" in shown
    with cluster.sampled() as both, cluster.traffic() as requests:
        assert r1.stop() == 0
        assert r1.running() == set(), "stopped before pulse has ended"
        soon(lambda: r2.running() == ALL, "r2 runs both")
        soon(lambda: r2.service("db").get("state") == "running", "r2 says so")
    figures = summary(requests)
    print(f"orderly stop: {figures.longest_gap:.3f} s without an answer")
    assert both == []
    assert set(figures.servers) == {"r1", "r2"}
    r1.start()
    cluster.settled("r2")


def test_a_service_that_crashes_is_started_again_on_the_spot_and_then_moves(
    cluster: FosCluster, r1: FosRouter, r2: FosRouter
) -> None:
    before = r1.pids_of("db")
    assert before
    with cluster.sampled() as both, cluster.traffic() as requests:
        r1.crash("web")
        soon(lambda: r1.service("web").get("restarts") == 1, "it was started again")
        soon(lambda: r1.service("web").get("state") == "running", "it runs again")
        assert r1.pids_of("db") == before, "the other one is left alone"
        assert r1.state() == "active"
        assert r2.running() == set()
        time.sleep(1)
        r1.crash("web")  # more often than max_restarts within restart_interval
        soon(lambda: r2.running() == ALL, "both are on r2")
        soon(lambda: r2.service("web").get("state") == "running", "r2 says so")
    figures = summary(requests)
    print(f"crash of a service, restart and move: {figures.longest_gap:.3f} s without an answer")
    assert both == []
    assert r1.running() == set()
    assert told(r1, "web failed here: ")
    cluster.settled("r2")


def test_a_dead_node_is_replaced(cluster: FosCluster, r1: FosRouter, r2: FosRouter) -> None:
    with cluster.traffic() as requests:
        r1.power_off()
        soon(lambda: r2.running() == ALL, "both are on r2")
        soon(lambda: r2.service("db").get("state") == "running", "r2 says so")
    print(f"death of a node: {summary(requests).longest_gap:.3f} s without an answer")
    assert r2.state() == "active"
    r1.power_on()
    r1.start()
    cluster.settled("r2")


@pytest.mark.parametrize(
    "cluster", [config(), config(top=f"deadtime = {DEADTIME}\nmonitor_links = 1")], indirect=True
)
def test_a_cut_link_moves_everything(cluster: FosCluster, r1: FosRouter, r2: FosRouter) -> None:
    """The public cable only: both hear each other on the private one all the while.

    Without monitor_links it is the standby's checks through the network that notice.
    """
    with cluster.sampled() as both, cluster.traffic() as requests:
        r1.cut(PUBLIC)
        soon(lambda: r2.running() == ALL, "both are on r2")
        soon(lambda: r2.service("web").get("state") == "running", "r2 says so")
    print(f"cut link: {summary(requests).longest_gap:.3f} s without an answer")
    assert both == []
    assert r1.running() == set()
    r1.cut(PUBLIC, up=True)
    cluster.settled("r2")


def test_a_standby_whose_own_network_fails_takes_nothing(
    cluster: FosCluster, r1: FosRouter, r2: FosRouter
) -> None:
    """It reaches neither the services nor its gateway, so it does not find fault with r1."""
    run("ip", "-n", "r2", "route", "add", "default", "via", "203.0.113.100")
    with cluster.traffic() as requests:
        r2.cut(PUBLIC)
        soon(lambda: told(r2, "this router's own network seems to be at fault"), "it knows")
        time.sleep(2 * DEADTIME)
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert r1.state() == "active"
    assert r2.running() == set()
    r2.cut(PUBLIC, up=True)
    time.sleep(3 * DEADTIME)
    assert not told(r2, "asks the partner to hand over"), "nor when its network is back"
    assert r1.state() == "active"


@pytest.mark.parametrize("cluster", [config(top=HOOKED)], indirect=True)
def test_after_a_split_the_loser_stops_and_the_winner_s_commands_run_again(
    cluster: FosCluster, r1: FosRouter, r2: FosRouter
) -> None:
    """While neither hears the other both run everything: no third party says which is to."""
    soon(lambda: r1.notified()[-1:] == ["standby active 203.0.113.10/24"], "r1 was told")
    assert r2.notified() == ["new standby none"]
    for network in (PUBLIC, PRIVATE):
        r2.cut(network)
    soon(lambda: r2.running() == ALL, "r2 runs both as well")
    soon(lambda: r2.notified()[-1].startswith("standby active"), "r2 was told")
    for network in (PUBLIC, PRIVATE):
        r2.cut(network, up=True)
    soon(lambda: r2.running() == set(), "the backup has stopped everything")
    cluster.settled("r1")
    soon(lambda: r2.notified()[-1].startswith("active standby"), "r2 was told")
    soon(lambda: r1.notified()[-1].startswith("active active"), "r1 was told again")


def test_services_outlive_fos_and_pulse(cluster: FosCluster, r1: FosRouter, r2: FosRouter) -> None:
    before = {name: r1.pids_of(name) for name in PORTS}
    assert all(before.values())
    with cluster.traffic() as requests:
        os.kill(r1.pid("fos"), signal.SIGKILL)
        soon(lambda: r1.restarts("fos") == 1, "fos is back")
        soon(lambda: r1.service("db").get("state") == "running", "and adopts")
        r1.kill_pulse()
        r1.start()
        soon(lambda: r1.service("db").get("state") == "running", "a new pulse adopts as well")
        time.sleep(DEADTIME)
    assert {name: r1.pids_of(name) for name in PORTS} == before
    assert r2.running() == set()
    assert told(r1, "adopts failover services: web, db")
    print(f"kill of fos, then of pulse: {summary(requests).longest_gap:.3f} s without an answer")
    cluster.settled("r1")


@pytest.mark.parametrize("cluster", [config(top="deadtime = 10")], indirect=True)
def test_release_stops_services_before_the_address_goes(
    cluster: FosCluster, r1: FosRouter, r2: FosRouter
) -> None:
    """What systemd does after the death of pulse; it has a dead time for it."""
    with cluster.sampled() as both:
        r1.kill_pulse()
        r1.release()
        assert r1.running() == set()
        soon(lambda: r2.running() == ALL, "both are on r2", limit=15)
    assert both == []


@pytest.mark.parametrize("cluster", [config(stop={"db": "/usr/bin/sleep 600"})], indirect=True)
def test_what_cannot_be_stopped_keeps_everything_where_it_is(
    cluster: FosCluster, r1: FosRouter, r2: FosRouter
) -> None:
    with cluster.sampled() as both:
        for _unused in range(2):
            soon(lambda: r1.service("web").get("state") == "running", "web runs")
            restarts = r1.service("web").get("restarts")
            r1.crash("web")
            soon(lambda n=restarts: moved_on(r1, n), "it is mended or all is to move")  # type: ignore[misc]
        soon(lambda: r1.service("db").get("state") == "stuck", "db is stuck")
        assert told(r1, "db could not be stopped")
        soon(lambda: "could not be stopped here" in r1.shown(), "status says so")
        soon(lambda: "web" in r1.running(), "the rest runs on")
        assert r1.state() == "active"
        time.sleep(2 * DEADTIME)
        assert r2.running() == set()
        r1.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        soon(lambda: told(r1, "pulse does not stop yet"), "pulse stays")
        time.sleep(2 * DEADTIME)
        assert r2.running() == set()
        r1.crash("db")  # as a person would
        soon(lambda: r2.running() == ALL, "everything moves once db has gone")
    assert both == []
