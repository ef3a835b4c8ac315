# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole agents on two routers, real traffic, real kills: what clients see of each misfortune.

Runs inside a kernel with IPVS: tests/lab/in-ipvs-kernel .venv/bin/python -m pytest tests/cluster
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster.cluster import (
    DEADTIME,
    GATEWAY,
    PORT,
    SERVERS,
    VIRTUAL,
    Cluster,
    Router,
    inside,
    run,
    soon,
)
from tests.cluster.traffic import first_answer_after, summary

USER_MODE = "User Mode Linux" in Path("/proc/cpuinfo").read_text(encoding="ascii")
MOST_GAP = 2.5
"""Seconds that clients may be without an answer when a router dies (0.5 / 1.5 s)."""


def test_requests_reach_both_servers(cluster: Cluster, r1: Router, r2: Router) -> None:
    with cluster.traffic() as requests:
        time.sleep(2)
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert set(figures.servers) == set(SERVERS)
    assert min(figures.servers.values()) > figures.requests * 0.4
    assert r2.holds() == set()
    assert r1.table().splitlines()[3:] != []
    services = [line.split()[:3] for line in r1.table().splitlines() if line.startswith("TCP")]
    assert services == [
        line.split()[:3] for line in r2.table().splitlines() if line.startswith("TCP")
    ]
    shown = r1.shown()
    assert "ACTIVE" in shown
    assert "web (tcp 203.0.113.10:80)" in shown


def test_a_step_of_the_clock_moves_nothing(cluster: Cluster, r1: Router, r2: Router) -> None:
    """A day ahead, and back: what counts is how long things last, not what time it is."""
    if not USER_MODE:
        pytest.skip("it would set this machine's own clock")
    told = [len(router.events()) for router in (r1, r2)]
    with cluster.traffic() as requests:
        for step in (86400, -2 * 86400, 86400):
            time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
            time.sleep(1)
    assert summary(requests).failed == 0
    assert (r1.state(), r2.state()) == ("active", "standby")
    news = [text for router, n in zip((r1, r2), told, strict=True) for text in router.events()[n:]]
    assert news == [], "nobody has noticed"


def test_two_hearts_that_die_in_a_row_cost_nothing(
    cluster: Cluster, r1: Router, r2: Router
) -> None:
    """Before all other tests that kill one: pulse waits longer after each end in a row."""
    soon(lambda: r1.status()["pulse"]["understudies"], "the heart has its understudies")
    with cluster.traffic() as requests:
        for number in (1, 2):
            os.kill(r1.pid("heart"), signal.SIGKILL)
            soon(lambda n=number: r1.restarts("heart") == n, "the heart is back")  # type: ignore[misc]
        time.sleep(2 * DEADTIME)
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert r1.state() == "active"
    assert r1.holds() == {VIRTUAL, GATEWAY}
    assert r1.status()["pulse"]["resigned"] == 0
    assert r2.state() == "standby"


def test_a_dead_server_leaves_the_table_and_comes_back(cluster: Cluster, r1: Router) -> None:
    try:
        cluster.stop_server("rs1")
        soon(lambda: SERVERS["rs1"] not in r1.table(), "rs1 has left the table")
        with cluster.traffic() as requests:
            time.sleep(2)
        figures = summary(requests)
        assert figures.failed == 0, figures
        assert set(figures.servers) == {"rs2"}
        assert "rs1" in r1.shown()
        assert "DOWN" in r1.shown()
    finally:
        cluster.start_server("rs1")
    soon(lambda: SERVERS["rs1"] in r1.table(), "rs1 is back in the table")


def test_a_reload_changes_only_what_changed(cluster: Cluster, r1: Router) -> None:
    with cluster.watched_table("r1") as table, cluster.traffic() as requests:
        text = r1.config.read_text(encoding="utf-8")
        r1.reload(text.replace("weight = 1", "weight = 5", 1))
        soon(lambda: " 5 " in r1.table(), "the new weight is in the table")
        r1.reload(text)
        soon(lambda: " 5 " not in r1.table(), "the old weight is back")
    assert summary(requests).failed == 0
    assert (table["services"], table["servers"]) == (1, 2)
    assert r1.state() == "active"


def test_a_bad_file_by_hup_changes_nothing_on_either_router(
    cluster: Cluster, r1: Router, r2: Router
) -> None:
    text = r1.config.read_text(encoding="utf-8")
    bad = text.replace("weight = 1", "weight = much", 1).replace("keepalive", "keepalife", 1)
    before = {router.name: stands(router) for router in (r1, r2)}
    with cluster.traffic() as requests:
        for router in (r2, r1):
            known = len(router.events())
            router.reload(bad)
            soon(
                lambda r=router: any(REFUSED in said for said in r.events()),  # type: ignore[misc]
                f"{router.name} has refused it",
            )
            said = router.events()[known:]
            place = str(router.config)
            assert said[0].startswith(f"{place}:7:1: error: unknown directive `keepalife`;"), said
            assert said[0].endswith("did you mean `keepalive`? [E201]"), said
            assert said[1].startswith(f"{place}:8:12: error: deadtime"), "of what is left in it"
            assert said[2].startswith(f"{place}:26:18: error: `weight` takes a whole number"), said
            assert [one.startswith(place) for one in said] == [True, True, True, False], said
            assert stands(router) == before[router.name]
            router.config.write_text(text, encoding="utf-8")
    assert summary(requests).failed == 0


REFUSED = "the configuration was not reloaded; the one before stays in force"


def stands(router: Router) -> tuple[object, ...]:
    """Give what a reload may change: processes, table, addresses, what is in force."""
    status = router.status()
    table = run(*inside(router.name, "ipvsadm", "-Sn"))
    in_force = (router.run_dir / "lvs.cf").read_bytes()
    pids = sorted(status["pulse"]["pids"].items())
    heart = status["heart"]
    return pids, table, router.holds(), in_force, heart["state"], heart["digest"]


@pytest.mark.parametrize("child", ["lvsd", "heart"])
def test_a_killed_process_costs_nothing(
    cluster: Cluster, r1: Router, r2: Router, child: str
) -> None:
    with cluster.watched_table("r1") as table, cluster.traffic() as requests:
        before = r1.restarts(child)
        for number in range(before + 1, before + 4):
            soon(lambda: r1.status()["pulse"]["understudies"], "the heart has an understudy")
            os.kill(r1.pid(child), signal.SIGKILL)
            soon(lambda n=number: r1.restarts(child) == n, f"{child} is back")  # type: ignore[misc]
            time.sleep(DEADTIME)
    figures = summary(requests)
    assert figures.failed == 0, figures
    assert figures.longest_gap < DEADTIME, figures
    assert table["looks"] > 50
    assert (table["services"], table["servers"]) == (1, 2), "the table was never smaller"
    assert r1.state() == "active"
    assert r1.holds() == {VIRTUAL, GATEWAY}
    assert r2.state() == "standby"
    assert r1.status()["pulse"]["resigned"] == 0
    assert not [text for text in r2.events() if "takes the virtual addresses" in text]


def test_open_connections_live_through_a_stop(cluster: Cluster, r1: Router, r2: Router) -> None:
    """Downloads begun at r1 are finished by r2, from the server they began with; and back again."""
    for leaves, takes in ((r1, r2), (r2, r1)):
        with cluster.downloads(40) as downloads:
            assert leaves.process is not None
            leaves.process.send_signal(signal.SIGTERM)
            soon(lambda r=takes: r.state() == "active", f"{takes.name} is active")  # type: ignore[misc]
            carried = takes.connections()  # before the first download ends
            assert leaves.stop() == 0
        assert len(downloads) == 40
        for one in downloads:
            assert one["error"] is None, one
            assert one["bytes"] == one["length"] > 0
            assert one["server"] in SERVERS, "one server, and the same all the way"
            server = f"{SERVERS[one['server']]}:{PORT}"
            assert carried[one["port"]] == ("ESTABLISHED", server), "as ipvsadm shows it"
        assert {one["server"] for one in downloads} == set(SERVERS)
        leaves.start()
        soon(lambda r=leaves: r.state() == "standby", f"{leaves.name} stands by")  # type: ignore[misc]
        soon(lambda r=takes: r.partner() == "standby", f"{takes.name} hears it")  # type: ignore[misc]
    for router in (r1, r2):
        daemons = run(*inside(router.name, "ipvsadm", "-Ln", "--daemon"))
        assert daemons.strip() == "", "no sync daemon is left"


def test_a_stopped_service_hands_over_without_a_failed_request(
    cluster: Cluster, r1: Router, r2: Router
) -> None:
    with cluster.traffic() as requests:
        moment = time.time()
        assert r1.stop() == 0
        assert r1.holds() == set()
        soon(lambda: r2.state() == "active", "r2 is active")
        time.sleep(2)
        r1.start()
        soon(lambda: r1.state() in {"standby", "active"}, "r1 is back")
        time.sleep(3)
    figures = summary(requests)
    print(f"first answer {first_answer_after(requests, moment)} s after the stop; {figures}")
    assert figures.failed == 0, figures
    assert figures.longest_gap < DEADTIME, "the partner did not wait for the dead time"
    holders = [router.name for router in (r1, r2) if router.holds()]
    assert len(holders) == 1


def test_a_power_cut_is_a_short_gap(cluster: Cluster, r1: Router, r2: Router) -> None:
    with cluster.traffic() as requests:
        r1.power_off()
        moment = time.time()
        soon(lambda: r2.holds() == {VIRTUAL, GATEWAY}, "r2 holds the addresses")
        time.sleep(3.5)
    answered = first_answer_after(requests, moment)
    figures = summary(requests)
    print(f"first answer {answered} s after the cut; {figures}")
    assert answered is not None
    assert answered < MOST_GAP
    assert figures.longest_gap < MOST_GAP
    late = summary(requests, after=moment + MOST_GAP)
    assert late.failed == 0, late
    assert r2.state() == "active"
    assert "DOWN" in r2.shown()


def test_a_heart_that_stays_silent_is_resigned_for(
    cluster: Cluster, r1: Router, r2: Router
) -> None:
    """One that hangs, and then, on the other router, one that keeps dying."""
    for silent, takes, how in ((r1, r2, signal.SIGSTOP), (r2, r1, signal.SIGKILL)):
        with cluster.traffic() as requests:
            soon(lambda r=silent: r.status()["pulse"]["understudies"], "the heart has some")  # type: ignore[misc]
            soon(lambda r=silent: r.partner() == "standby", "somebody can take over")  # type: ignore[misc]
            moment = time.time()
            if how is signal.SIGSTOP:
                os.kill(silent.pid("heart"), how)
            # It keeps dying: every new one is killed as soon as it is seen.
            while how is signal.SIGKILL and time.time() < moment + 10 and not takes.holds():
                if pid := silent.status()["pulse"]["pids"]["heart"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, how)
            soon(lambda r=takes: r.holds() == {VIRTUAL, GATEWAY}, "the other one has all")  # type: ignore[misc]
            taken = time.time()
            time.sleep(3)
        print(f"first answer after {first_answer_after(requests, moment)} s; {summary(requests)}")
        assert silent.status()["pulse"]["resigned"] >= 1
        assert silent.holds() == set()
        assert summary(requests).longest_gap < DEADTIME
        assert summary(requests, after=taken + 0.5).failed == 0


def test_a_wrong_key_is_said(built: Cluster) -> None:
    built.stop()
    built.write(wrong_key=True)
    r1, r2 = built.routers["r1"], built.routers["r2"]
    try:
        r1.start()
        r2.start()
        for router in (r1, r2):
            soon(lambda r=router: "key" in r.shown(), f"{router.name} tells of the key")  # type: ignore[misc]
            said = [line for line in router.shown().splitlines() if "key" in line]
            assert said[0].startswith("! ")
    finally:
        built.stop()
