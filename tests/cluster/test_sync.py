# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`syncdaemon = 1`: both halves on both routers, and connections that live through a power cut.

Runs inside a kernel with IPVS: tests/lab/in-ipvs-kernel .venv/bin/python -m pytest tests/cluster
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.cluster import CONFIG, ROOT, Cluster, Router, inside, run, soon, standing

SYNCED = 4.0
"""Seconds of age, and 4 packets, after which the partner's kernel knows a connection."""
DEFAULTS = ROOT / "roles/piranha_router/defaults/main.yml"


def config(interface: str = "eth1", number: int = 7, on: int = 1) -> str:
    return f"syncdaemon = {on}\nsyncd_iface = {interface}\nsyncd_id = {number}\n{CONFIG}"


@pytest.fixture(scope="module")
def built() -> Iterator[Cluster]:
    with standing(Cluster(Path("/run/cluster-test"))) as made:
        switches = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["piranha_router_sysctls"]
        for name in made.routers:
            for key, value in switches.items():
                run(*inside(name, "sysctl", "-q", "-w", f"{key}={value}"))
        yield made


@pytest.fixture
def cluster(built: Cluster) -> Iterator[Cluster]:
    """Both agents started with the sync daemon, r1 active."""
    built.write(config())
    try:
        built.start()
        yield built
    finally:
        built.stop()
        for router in built.routers.values():
            run(*inside(router.name, "ipvsadm", "--stop-daemon", "master"), check=False)
            run(*inside(router.name, "ipvsadm", "--stop-daemon", "backup"), check=False)
            print(f"--- log of {router.name}\n{router.log()}")
            (router.folder / "log").write_text("", encoding="utf-8")


def halves(router: Router) -> set[tuple[str, ...]]:
    """Give role, interface and id of each half, as ipvsadm tells them."""
    lines = run(*inside(router.name, "ipvsadm", "-Ln", "--daemon")).splitlines()
    found: set[tuple[str, ...]] = set()
    for line in lines:
        words = line.replace(",", "").replace(")", "").replace("(", "").split()
        told = dict(word.split("=", 1) for word in words if "=" in word)
        found.add((words[0], told["mcast"], told["syncid"]))
    return found


def both(interface: str, number: int) -> set[tuple[str, ...]]:
    return {(half, interface, str(number)) for half in ("master", "backup")}


def test_both_halves_run_on_both_routers_through_all_that_happens(cluster: Cluster) -> None:
    r1, r2 = cluster.routers["r1"], cluster.routers["r2"]
    for router in (r1, r2):
        soon(lambda r=router: halves(r) == both("eth1", 7), f"{router.name} has both")  # type: ignore[misc]
        soon(
            lambda r=router: "eth1, id 7: sends UP, receives UP" in r.shown(),  # type: ignore[misc]
            f"{router.name} shows both",
        )
    assert r1.stop() == 0
    soon(lambda: r2.state() == "active", "r2 is active")
    assert halves(r2) == both("eth1", 7)
    assert halves(r1) == both("eth1", 7), "the agent's end ends the connections' copies no more"
    r1.start()
    soon(lambda: r1.state() == "standby", "r1 stands by")
    for router in (r1, r2):
        router.config.write_text(config("eth0x", 9), encoding="utf-8")
    run("ip", "-n", "r1", "link", "add", "eth0x", "type", "dummy")
    run("ip", "-n", "r1", "link", "set", "eth0x", "up")
    for router in (r1, r2):
        router.hup()
    soon(lambda: halves(r1) == both("eth0x", 9), "r1 follows the file")
    soon(lambda: "not synchronised over eth0x" in r2.shown(), "r2 says what it lacks")
    run("ip", "-n", "r1", "link", "del", "eth0x")
    for router in (r1, r2):
        router.reload(config(on=0))
        soon(lambda r=router: halves(r) == set(), f"{router.name} stops both")  # type: ignore[misc]


def test_synced_connections_live_through_a_power_cut(cluster: Cluster) -> None:
    r1, r2 = cluster.routers["r1"], cluster.routers["r2"]
    soon(lambda: halves(r2) == both("eth1", 7), "r2 receives")
    with cluster.downloads(20, times=3) as downloads:
        time.sleep(SYNCED)
        r1.power_off()
        soon(lambda: r2.state() == "active", "r2 is active")
    failed = [one for one in downloads if one["error"] or one["bytes"] != one["length"]]
    assert len(downloads) == 20
    assert failed == []


def test_synced_connections_live_through_a_stop(cluster: Cluster) -> None:
    """The hand-over speaks to the half that runs, which stays."""
    r1, r2 = cluster.routers["r1"], cluster.routers["r2"]
    soon(lambda: halves(r2) == both("eth1", 7), "r2 receives")
    with cluster.downloads(20) as downloads:
        assert r1.stop() == 0
        soon(lambda: r2.state() == "active", "r2 is active")
    assert [one for one in downloads if one["error"] or one["bytes"] != one["length"]] == []
    assert halves(r2) == both("eth1", 7)
