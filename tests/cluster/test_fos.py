# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failover services on two whole agents: nginx and redis move on crash of service, node and link.

Real programs, real kills, traffic all the while, and a look every 10 ms that never both run one.
One pair of routers does all of it, one accident after the other, wherever the services happen to
be; another configuration comes by reload. There is no systemd here, so commands run the plain
way; systemd's is in test_systemd.py. Needs no IPVS: tests/page/alone .venv/bin/pytest THIS_FILE
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import DEADTIME, PRIVATE, PUBLIC, VIRTUAL, run, soon, standing
from tests.cluster.fos_lab import OTHER, PORTS, FosCluster, FosRouter, config
from tests.cluster.traffic import summary

ALL = set(PORTS)
HOOKED = f'deadtime = {DEADTIME}\nnotify_cmd = "/etc/piranha/notify"'
APART = config(groups={"db": "data"})
HANGING = config(stop={"db": "/usr/bin/sleep 600"}, stop_timeout=1)


@pytest.fixture(scope="module")
def built() -> Iterator[FosCluster]:
    with standing(FosCluster(Path("/run/cluster-test"))) as made:
        yield made


@pytest.fixture
def cluster(built: FosCluster, request: pytest.FixtureRequest) -> Iterator[FosCluster]:
    """The cluster with everything on one router; `text` may come as a parameter."""
    built.be(getattr(request, "param", None) or config())
    try:
        yield built
    finally:
        for router in built.pair.values():
            print(f"--- log of {router.name}\n{router.log()[router.marked :]}")


@pytest.fixture
def here(cluster: FosCluster) -> FosRouter:
    """The router that runs everything."""
    return cluster.active


@pytest.fixture
def there(cluster: FosCluster, here: FosRouter) -> FosRouter:
    """The other one."""
    return cluster.other(here)


def runs(router: FosRouter, *names: str) -> None:
    """Wait until a router runs these services and says so."""
    soon(lambda: router.running() == set(names), f"{router.name} runs {names}")
    for name in names:
        soon(lambda n=name: router.service(n).get("state") == "running", "and says so")  # type: ignore[misc]


def test_services_run_where_the_address_is_and_move_in_order_on_a_stop_and_on_command(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    shown = here.shown()
    assert "RUNNING" in shown
    assert "tcp 203.0.113.10:6379" in shown
    with cluster.sampled() as both, cluster.traffic() as requests:
        assert here.stop() == 0
        assert here.running() == set(), "stopped before pulse has ended"
        runs(there, *ALL)
    figures = summary(requests)
    print(f"orderly stop: {figures.longest_gap:.3f} s without an answer")
    assert both == []
    assert set(figures.servers) == {"r1", "r2"}
    here.start()
    cluster.settled(there.name)
    assert here.switch() == (
        1,
        "piranha: this router does not have the virtual addresses; ask the one that has them\n",
    )
    with cluster.sampled() as both:
        status, said = there.switch()
    assert (status, said.endswith("has the failover services now\n")) == (0, True), said
    assert both == []
    assert there.state() == "standby", "nothing is wrong with it"
    cluster.settled(here.name)


@pytest.mark.parametrize("name", list(PORTS))
def test_a_service_that_crashes_is_started_again_on_the_spot_and_then_moves(
    cluster: FosCluster, here: FosRouter, there: FosRouter, name: str
) -> None:
    (spared,) = ALL - {name}
    before, restarts = here.pids_of(spared), here.service(name)["restarts"]
    assert before
    with cluster.sampled() as both, cluster.traffic() as requests:
        here.crash(name)
        soon(lambda: here.service(name).get("restarts") != restarts, "it was started again")
        soon(lambda: here.service(name).get("state") == "running", "it runs again")
        assert here.pids_of(spared) == before, "the other one is left alone"
        assert here.state() == "active"
        assert there.running() == set()
        here.crash(name)  # more often than max_restarts within restart_interval
        runs(there, *ALL)
    figures = summary(requests)
    print(f"crash of {name}, restart and move: {figures.longest_gap:.3f} s without an answer")
    assert both == []
    assert here.running() == set()
    assert here.told(f"{name} failed here: ")
    cluster.settled(there.name)


def test_a_dead_node_is_replaced(cluster: FosCluster, here: FosRouter, there: FosRouter) -> None:
    with cluster.traffic() as requests:
        here.power_off()
        runs(there, *ALL)
    print(f"death of a node: {summary(requests).longest_gap:.3f} s without an answer")
    assert there.state() == "active"
    here.power_on()
    here.start()
    cluster.settled(there.name)


@pytest.mark.parametrize(
    "cluster", [config(), config(top=f"deadtime = {DEADTIME}\nmonitor_links = 1")], indirect=True
)
def test_a_cut_link_moves_everything(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    """The public cable only: both hear each other on the private one all the while.

    Without monitor_links it is the standby's checks through the network that notice.
    """
    with cluster.sampled() as both, cluster.traffic() as requests:
        here.cut(PUBLIC)
        runs(there, *ALL)
    print(f"cut link: {summary(requests).longest_gap:.3f} s without an answer")
    assert both == []
    assert here.running() == set()
    here.cut(PUBLIC, up=True)
    cluster.settled(there.name)


def test_a_standby_whose_own_network_fails_takes_nothing(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    """It reaches neither the services nor its gateway, so it does not find fault with the other."""
    run("ip", "-n", there.name, "route", "add", "default", "via", "203.0.113.100")
    try:
        with cluster.traffic() as requests:
            there.cut(PUBLIC)
            soon(lambda: there.told("this router's own network seems to be at fault"), "it knows")
            time.sleep(DEADTIME)
        figures = summary(requests)
        assert figures.failed == 0, figures
        assert here.state() == "active"
        assert there.running() == set()
        there.cut(PUBLIC, up=True)
        time.sleep(2 * DEADTIME)
        assert not there.told("asks the partner to hand over"), "nor when its network is back"
        assert here.state() == "active"
    finally:
        there.cut(PUBLIC, up=True)
        run("ip", "-n", there.name, "route", "del", "default", check=False)


@pytest.mark.parametrize("cluster", [config(top=HOOKED)], indirect=True)
def test_after_a_split_the_loser_stops_and_the_winner_s_commands_run_again(
    cluster: FosCluster,
) -> None:
    """While neither hears the other both run everything: no third party says which is to."""
    r1, r2 = cluster.pair["r1"], cluster.pair["r2"]
    for network in (PUBLIC, PRIVATE):
        r2.cut(network)
    for router in (r1, r2):
        soon(lambda one=router: one.running() == ALL, f"{router.name} runs both")  # type: ignore[misc]
        soon(lambda one=router: one.state() == "active", f"{router.name} is active")  # type: ignore[misc]
    before = len(r1.notified())
    for network in (PUBLIC, PRIVATE):
        r2.cut(network, up=True)
    soon(lambda: r2.running() == set(), "the backup has stopped everything")
    cluster.settled("r1")
    soon(lambda: r2.notified()[-1:] == [f"active standby {VIRTUAL}/24"], "r2 was told")
    again = f"active active {VIRTUAL}/24"
    soon(lambda: again in r1.notified()[before:], "r1 was told again", 20)


def test_services_outlive_fos_heart_and_pulse(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    before = {name: here.pids_of(name) for name in PORTS}
    assert all(before.values())
    with cluster.traffic() as requests:
        for child in ("fos", "heart"):
            restarts = here.restarts(child)
            os.kill(here.pid(child), signal.SIGKILL)
            soon(lambda n=restarts, c=child: here.restarts(c) == n + 1, f"{child} is back")  # type: ignore[misc]
            soon(lambda: here.service("db").get("state") == "running", "and adopts")
        here.kill_pulse()
        here.start()
        soon(lambda: here.service("db").get("state") == "running", "a new pulse adopts as well")
        time.sleep(DEADTIME)
    assert {name: here.pids_of(name) for name in PORTS} == before
    assert there.running() == set()
    assert here.told("adopts failover services: web, db")
    print(f"kill of fos, heart, pulse: {summary(requests).longest_gap:.3f} s without an answer")
    cluster.settled(here.name)


@pytest.mark.parametrize("cluster", [config(top="deadtime = 8")], indirect=True)
def test_release_stops_services_before_the_address_goes(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    """What systemd does after the death of pulse; it has a dead time for it."""
    with cluster.sampled() as both:
        here.kill_pulse()
        here.release()
        assert here.running() == set()
        runs(there, *ALL)
    assert both == []


def test_reload_by_hup_changes_addresses_and_times_of_both_and_a_bad_file_nothing(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    good, before = here.config.read_text(), {name: here.pids_of(name) for name in PORTS}
    in_force = here.digest()
    bad = good.replace("keepalive = ", "keepalive = much ").replace("port = 80", "port = 8o")
    for router in (there, here):
        router.config.write_text(bad)
        router.hup()
        soon(lambda one=router: one.told("the configuration was not reloaded"), "it is refused")  # type: ignore[misc]
        assert router.told("keepalive")
        assert router.digest() == in_force
    new = good.replace(f"{VIRTUAL} eth0", f"{OTHER} eth0").replace(str(DEADTIME), str(2 * DEADTIME))
    for router in (there, here):
        router.config.write_text(new)
        router.hup()
        soon(lambda one=router: one.digest() not in ("", in_force), "it is in force")  # type: ignore[misc]
        assert router.status()["heart"]["deadtime"] == 2 * DEADTIME
    soon(lambda: here.has(OTHER) and not here.has(VIRTUAL), "the active one has the new address")
    assert not there.has(OTHER)
    cluster.settled(here.name)
    assert here.running() == ALL
    assert {name: here.pids_of(name) for name in PORTS} == before, "no service was touched"
    same = here.digest()
    soon(lambda: here.status()["heart"]["peer"]["digest"] == same, "both have the same file")
    here.stop()
    soon(lambda: there.has(OTHER), "the standby takes the new one")
    runs(there, *ALL)


@pytest.mark.parametrize("cluster", [APART], indirect=True)
def test_groups_move_alone_and_each_has_one_owner(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    web = here.pids_of("web")
    with cluster.sampled() as both, cluster.traffic() as requests:
        assert here.switch("date") == (
            1,
            "piranha: there is no group date; there are: data\n",
        )
        status, said = here.switch("data")
        assert (status, said.endswith("has group data now\n")) == (0, True), said
        runs(there, "db")
        assert here.running() == {"web"}
        assert (here.has(OTHER), there.has(OTHER)) == (False, True)
        assert (here.has(VIRTUAL), there.has(VIRTUAL)) == (True, False)
        os.kill(here.pid("heart"), signal.SIGKILL)
        os.kill(there.pid("heart"), signal.SIGKILL)
        soon(lambda: there.group("data").get("partner") == "standby", "both hearts know as before")
        time.sleep(DEADTIME)
        assert there.group("data")["state"] == "active"
    assert summary(requests).failed == 0, "the other group has not moved"
    assert both == []
    assert here.pids_of("web") == web
    joined = APART.replace("failover_group = data", "")
    here.config.write_text(joined.replace(OTHER, VIRTUAL))
    here.hup()
    soon(lambda: here.told("are on different routers"), "groups apart cannot become one")
    assert here.running() == {"web"}
    here.config.write_text(APART)
    with cluster.sampled() as both:
        restarts = there.service("db")["restarts"]
        there.crash("db")
        soon(lambda: there.service("db").get("restarts") != restarts, "it was started again")
        soon(lambda: there.service("db").get("state") == "running", "it runs again")
        there.crash("db")
        runs(here, *ALL)
    assert both == []
    assert here.pids_of("web") == web
    soon(lambda: not there.weak() and there.group("data").get("state") == "standby", "it may again")
    assert here.switch("data")[0] == 0
    here.power_off()
    runs(there, *ALL)
    assert there.has(OTHER)
    assert there.has(VIRTUAL)
    here.power_on()
    here.start()
    cluster.settled(there.name)


def moved_on(router: FosRouter, restarts: object) -> bool:
    return router.service("web").get("restarts") != restarts or router.told("go to the partner")


@pytest.mark.parametrize("cluster", [HANGING], indirect=True)
def test_what_cannot_be_stopped_keeps_everything_where_it_is(
    cluster: FosCluster, here: FosRouter, there: FosRouter
) -> None:
    with cluster.sampled() as both:
        for _unused in range(2):
            soon(lambda: here.service("web").get("state") == "running", "web runs")
            restarts = here.service("web").get("restarts")
            here.crash("web")
            soon(lambda n=restarts: moved_on(here, n), "it is mended or all is to move")  # type: ignore[misc]
        soon(lambda: here.service("db").get("state") == "stuck", "db is stuck")
        assert here.told("db could not be stopped")
        soon(lambda: "could not be stopped here" in here.shown(), "status says so")
        soon(lambda: "web" in here.running(), "the rest runs on")
        assert here.state() == "active"
        status, said = here.switch()
        assert (status, "stop it by hand" in said) == (1, True)
        time.sleep(DEADTIME)
        assert there.running() == set()
        here.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        soon(lambda: here.told("pulse does not stop yet"), "pulse stays")
        time.sleep(2 * DEADTIME)
        assert there.running() == set()
        here.crash("db")  # as a person would
        runs(there, *ALL)
    assert both == []
