# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server whose cable is cut is checked long before its turn. Needs root, but no IPVS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator

import pytest
from piranha.core.ipvs.model import Table
from piranha.lvsd.doors import Doors
from piranha.lvsd.senses import Senses
from piranha.nanny.engine import Engine
from piranha.nanny.outcome import Result
from piranha.nanny.spec import SocketCheck, Watch
from piranha.net.news import News

from tests.cluster.heart_lab import inside, ip

ROUTER, SERVER = f"nbr{os.getpid()}", f"nbs{os.getpid()}"
ADDRESS, PORT, INTERVAL = "198.51.100.22", 80, 60.0
QUICK = {"base_reachable_time_ms": "2000", "delay_first_probe_time": "1"}
"""By default the kernel may believe an entry for 45 s, and then waits 5 s: too long for a test."""


SYSCTL = ("sysctl", "-q", "-w")


@pytest.fixture
def network() -> Iterator[socket.socket]:
    """A router with a bridge, a server behind it; gives the server's listening socket."""
    for name in (ROUTER, SERVER):
        ip("netns", "add", name)
    try:
        lines = [
            "link set lo up",
            "link add name inside type bridge",
            "address add 198.51.100.1/24 dev inside",
            "link set inside up",
            f"link add port type veth peer name eth0 netns {SERVER}",
            "link set port master inside up",
        ]
        ip("-n", ROUTER, "-batch", "-", text="\n".join(lines))
        lines = [f"address add {ADDRESS}/24 dev eth0", "link set eth0 up"]
        ip("-n", SERVER, "-batch", "-", text="\n".join(lines))
        for key, value in QUICK.items():
            ip("netns", "exec", ROUTER, *SYSCTL, f"net.ipv4.neigh.inside.{key}={value}")
        with contextlib.closing(inside(SERVER, socket.socket)) as listening:
            listening.bind((ADDRESS, PORT))
            listening.listen(10)
            yield listening
    finally:
        for name in (ROUTER, SERVER):
            ip("netns", "del", name)


async def _watched(seen: list[tuple[float, str]], seconds: float) -> None:
    """Check the server, cut its cable after three seconds, and have traffic go to it."""
    watch = Watch(SocketCheck("tcp", ADDRESS, PORT, INTERVAL), INTERVAL)

    def told(one: Watch, result: Result) -> bool:
        refined = senses.refine(one, result, matters=False)
        seen.append((time.monotonic(), refined.outcome.words))
        return False

    engine = Engine(told)
    senses = Senses(Doors(lambda _only: Table(), lambda _key: False), engine.hasten)
    senses.listen(News())
    senses.configure([watch], frozenset())
    engine.watch([watch])
    await asyncio.sleep(3)
    ip("-n", ROUTER, "link", "set", "port", "down")
    seen.append((time.monotonic(), "cut"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as clients:
        for _unused in range(int(seconds)):
            with contextlib.suppress(OSError):
                clients.sendto(b"?", (ADDRESS, 9))
            await asyncio.sleep(1)
    senses.close()
    await engine.stop()


def test_a_server_that_answers_no_arp_is_checked_long_before_its_turn(
    network: socket.socket,
) -> None:
    seen: list[tuple[float, str]] = []
    inside(ROUTER, lambda: asyncio.run(_watched(seen, 22)))
    words = [text for _at, text in seen]
    # Once: a failure that is known hastens nothing more, though the kernel goes on telling.
    unreachable = f"host unreachable: {ADDRESS} does not answer ARP requests"
    assert words == ["connected", "cut", unreachable]
    assert seen[2][0] - seen[1][0] < INTERVAL / 3
