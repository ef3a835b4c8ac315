# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks through the virtual address, on both routers and through takeovers, on a real table.

Only for a kernel of its own: tests/lab/in-ipvs-kernel.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from piranha.control.client import Client
from piranha.editing.checking import by_lvsd
from piranha.gui.protocol import Checked

from tests.cluster.cluster import inside, run, soon, standing
from tests.cluster.direct_lab import (
    DIRECT,
    PORT,
    TUNNEL,
    DirectCluster,
    DirectRouter,
    address,
    address6,
    config,
    steady,
)

GOOD = {
    **{f"{virtual}/{name}": "UP" for virtual in ("direct", "six") for name in ("d1", "d2")},
    "tunnel/t1": "UP",
}
BAD = {"direct/d3": "DOWN", "six/d3": "DOWN", "tunnel/t2": "DOWN"}
STATES = {**GOOD, **BAD}
IN_TABLE = {f"{DIRECT}:{PORT}": ["21", "22"], f"{TUNNEL}:{PORT}": ["31"]}
CHANGE = re.compile(r"real server .* is (UP|DOWN)")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectCluster]:
    with standing(DirectCluster(tmp_path_factory.mktemp("direct"))) as made:
        yield made


@pytest.fixture
def running(cluster: DirectCluster) -> DirectCluster:
    """Both agents, one active, both knowing every server.

    A router that a test has switched off is switched on again; all else begins anew.
    """
    routers = cluster.routers.values()

    def well() -> bool:
        return {r.state() for r in routers} == {"active", "standby"} and all(
            r.states() == STATES for r in routers
        )

    dead = [router for router in routers if router.process is None]
    if len(dead) == 1:
        dead[0].power_on()
        dead[0].start()
        with suppress(AssertionError):
            soon(well, "it stands by and knows all servers")
    if not well():
        cluster.stop()
        cluster.start(config())
    for router in routers:
        soon(lambda r=router: r.states() == STATES, f"{router.name} knows all servers")  # type: ignore[misc]
        # A status may be ahead of the events that tell how it came about.
        soon(lambda r=router: told(r) >= BAD.keys(), f"{router.name} has told of them")  # type: ignore[misc]
    return cluster


def roles(cluster: DirectCluster) -> tuple[DirectRouter, DirectRouter]:
    """The active router and the standby."""
    one, two = sorted(cluster.routers.values(), key=lambda router: router.state())
    assert (one.state(), two.state()) == ("active", "standby")
    return one, two


def services(router: DirectRouter) -> dict[str, list[str]]:
    """The services with an IPv4 address, by ipvsadm, and the last numbers of their servers."""
    found: dict[str, list[str]] = {}
    for line in run(*inside(router.name, "ipvsadm", "-Sn")).splitlines():
        words = line.split()
        if words[1] == "-t" and words[0] == "-A" and not words[2].startswith("["):
            found[words[2]] = []
        elif words[1] == "-t" and words[0] == "-a" and words[2] in found:
            server = words[words.index("-r") + 1].rpartition(":")[0]
            found[words[2]].append(server.rpartition(".")[2])
    return {service: sorted(servers) for service, servers in found.items()}


def helpers(router: DirectRouter) -> list[str]:
    """The marked services of the table, each with its server, as ipvsadm -S tells."""
    lines = run(*inside(router.name, "ipvsadm", "-Sn")).splitlines()
    return sorted(line for line in lines if line.startswith("-a -f"))


def changes(router: DirectRouter, after: int = 0) -> list[str]:
    return [text for text in router.events()[after:] if CHANGE.match(text)]


def downs(router: DirectRouter) -> list[str]:
    return [text for text in changes(router) if " is DOWN" in text]


def told(router: DirectRouter) -> set[str]:
    """Which servers the events call down, as `direct/d3`; a busy machine may add one to those."""
    lines = downs(router)
    servers = router.servers()
    return {
        name for name, server in servers.items()
        if any(f"{server['address']}" in text and f" of {name.partition('/')[0]} " in text
               for text in lines)
    }


def test_a_server_without_the_address_is_down_on_both_routers(running: DirectCluster) -> None:
    for router in running.routers.values():
        assert services(router) == IN_TABLE
        assert len(helpers(router)) == len(STATES)
        down = downs(router)
        where = f"real server {address('d3')}:{PORT} of direct ({DIRECT}:{PORT}/tcp) is DOWN"
        words = f"no connection within 2 s at {DIRECT}, which it may not have on its loopback"
        assert any(text.startswith(f"{where}: {words}") for text in down)
        # Neither status nor its metrics have the helper services.
        assert {name.partition("/")[0] for name in router.servers()} == {"direct", "six", "tunnel"}
        assert "FWM" not in router.shown()
    assert running.ask() == {"d1", "d2"}
    assert running.ask(TUNNEL) == {"t1"}


@pytest.mark.parametrize(("server", "verdict"), [("d1", "up"), ("d3", "down")])
def test_the_page_has_lvsd_make_the_check_that_it_may_not_make_itself(
    running: DirectCluster, server: str, verdict: str
) -> None:
    """A check that has ended since is told, be it good or bad."""
    seen = Checked("unchecked", ["not by hand", f"  check: connect to {DIRECT}"])
    for router in running.routers.values():

        async def ask(do: str, of: DirectRouter = router, **whom: object) -> dict[str, Any]:
            with Client(of.run_dir / "control.sock") as client:
                return client.ask(do, **whom)

        asked = time.time()
        found = asyncio.run(by_lvsd(ask, "direct", server, seen))
        assert found.verdict == verdict, found
        assert found.lines[0].startswith(f"direct/{server}: {verdict.upper()}: ")
        last = router.servers()[f"direct/{server}"]["last_check"]
        assert last["at"] + last["seconds"] > asked


def counted(router: DirectRouter) -> str:
    """How many connections the users' service has had."""
    told = run(*inside(router.name, "ipvsadm", "-Ln", "--stats", "-t", f"{DIRECT}:{PORT}"))
    return next(line for line in told.splitlines() if line.startswith("TCP")).split()[2]


def test_each_check_keeps_one_connection_in_the_table(running: DirectCluster) -> None:
    router = running.routers["r1"]
    time.sleep(3)  # the kernel adds up its counters every 2 s: what users have asked is in them now
    before = counted(router)
    time.sleep(4)
    listed = run(*inside("r1", "ipvsadm", "-Lnc")).splitlines()[2:]
    ends = [line.split()[3] for line in listed]
    own = (f"{address('r1')}:", f"[{address6('r1')}]:")
    ends = [end for end in ends if end.startswith(own)]  # not what clients have left
    assert len(ends) == len(set(ends)) == len(STATES)
    assert counted(router) == before, "the users' service has counted our checks"


def test_helper_services_that_somebody_takes_out_are_mended_and_nobody_is_judged(
    running: DirectCluster,
) -> None:
    router = running.routers["r1"]
    wanted = helpers(router)
    before = len(router.events())
    for _unused in range(3):
        run(*inside("r1", "ipvsadm", "-C"))
        soon(lambda: helpers(router) == wanted, "the helper services are back", 10)
        time.sleep(1.3)
    assert changes(router, before) == []
    assert services(router) == IN_TABLE


def test_a_restart_of_lvsd_keeps_the_marks(running: DirectCluster) -> None:
    router = running.routers["r1"]
    wanted = helpers(router)
    before = len(router.events())
    for number in range(3):
        os.kill(router.pid("lvsd"), signal.SIGKILL)
        soon(lambda n=number: router.restarts("lvsd") > n, "lvsd runs again")  # type: ignore[misc]
        soon(lambda: router.states() == STATES, "it knows all servers")
    assert helpers(router) == wanted
    assert [
        text for text in changes(router, before) if " is DOWN" in text and "kept out" not in text
    ] == []


def test_a_reload_takes_the_helper_services_out_and_brings_them_back(
    running: DirectCluster,
) -> None:
    """In between the plain check is deceived: why there are checks through the virtual address."""
    router = running.routers["r1"]
    wanted, everyone = len(helpers(router)), dict.fromkeys(STATES, "UP")
    before = len(downs(router))
    router.reload(config(extra=""))
    soon(lambda: helpers(router) == [], "the helper services have gone", 20)
    soon(lambda: router.states() == everyone, "all servers are judged by their own address")
    router.reload(config())
    soon(lambda: len(helpers(router)) == wanted, "the helper services are back", 20)
    soon(lambda: router.states() == STATES, "all servers are judged by what users reach")
    # The next test must not take the last of these for its own.
    soon(lambda: len(downs(router)) >= before + len(BAD), "and the events have told so")


def freeze_heart(router: DirectRouter) -> None:
    """Stop the heart where it is: pulse ends it and resigns for it; lvsd goes on."""
    os.kill(router.pid("heart"), signal.SIGSTOP)


@pytest.mark.parametrize("how", ["frozen heart", "power cut"])
def test_no_server_changes_state_in_a_takeover(running: DirectCluster, how: str) -> None:
    one, two = roles(running)
    before = {router.name: len(router.events()) for router in (one, two)}
    if how == "power cut":
        one.power_off()
    else:
        freeze_heart(one)
    soon(lambda: two.state() == "active", "the standby has taken over")
    assert steady(two, 5) == set(STATES.items())
    assert changes(two, before[two.name]) == []
    assert services(two) == IN_TABLE
    assert running.ask() == {"d1", "d2"}
    if how == "power cut":
        return
    # And the router that has let go, whose lvsd has lived through it.
    assert steady(one, 3) == set(STATES.items())
    assert changes(one, before[one.name]) == []
    assert services(one) == IN_TABLE


def test_without_accept_local_the_active_router_says_so_and_judges_nobody(
    running: DirectCluster,
) -> None:
    one, two = roles(running)
    before = len(two.events())
    two.set("accept_local", 0)
    ready = f"answers from {DIRECT} would be dropped if this router has that address"
    soon(lambda: any(ready in text for text in two.events()), "the standby says so beforehand")
    soon(lambda: ready in two.shown(), "its status says so")
    assert steady(two, 3) == set(STATES.items())  # the standby can check as it is
    one.power_off()
    soon(lambda: two.state() == "active", "the standby has taken over")
    assert steady(two, 6) == set(STATES.items())
    assert changes(two, before) == []
    remedy = "set net.ipv4.conf.eth0.accept_local = 1"
    said = [text for text in two.events()[before:] if "are dropped while" in text]
    assert len(said) == 2, "one sentence for each virtual address of IPv4"
    assert all(remedy in text for text in said)
    soon(lambda: remedy in two.shown(), "its status says so")
    assert services(two) == IN_TABLE
    two.set("accept_local", 1)
    again = "checks through a virtual address work again"
    soon(lambda: again in two.events()[before:], "it works again")
    soon(lambda: remedy not in two.shown(), "its status says nothing more")
    assert changes(two, before) == []
