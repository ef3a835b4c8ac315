# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells of the network, and what lvsd makes of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable

import pytest
from piranha.lvsd.doors import Doors
from piranha.lvsd.senses import RECENT, Senses
from piranha.lvsd.surroundings import Surroundings, holding
from piranha.nanny.engine import HASTE, Engine
from piranha.nanny.outcome import Result, bad, good
from piranha.nanny.spec import NoCheck, SocketCheck, Through, Watch
from piranha.net.news import Heard, News, understand

from .test_doors import STANDBY, VIP

SERVER = "192.0.2.21"
FAILED, REACHABLE = 0x20, 0x02


def watch(port: int, through: Through | None = None) -> Watch:
    address = VIP if through else SERVER
    return Watch(SocketCheck("tcp", address, port, 1.0, through=through), 1.0)


THROUGH = watch(80, Through(SERVER, "direct"))
UNREACHABLE = bad("host unreachable")


class Told(News):
    """The kernel's news, as the test tells them."""

    def __init__(self) -> None:
        self.news: list[Heard] = []

    def read(self) -> Heard:
        return self.news.pop(0) if self.news else Heard(frozenset(), False)


class Lab:
    def __init__(self, *watches: Watch, around: Surroundings = STANDBY) -> None:
        self.around, self.looks = around, 0
        self.hastened: list[Watch] = []
        self.told = Told()
        doors = Doors(lambda _only: doors.table(), lambda _key: True, self._look)
        self.senses = Senses(doors, self._hasten)
        self.senses._news = self.told
        self.senses.configure(watches, frozenset({VIP}))
        self.doors = doors

    def _look(self, *_unused: object) -> Surroundings:
        self.looks += 1
        return self.around

    def _hasten(self, watches: Iterable[Watch]) -> None:
        self.hastened += watches

    def refine(self, one: Watch, result: Result) -> str:
        return self.senses.refine(one, result, matters=False).outcome.words


def result(outcome: object = UNREACHABLE) -> Result:
    return Result(outcome, time.monotonic(), 0.0)  # type: ignore[arg-type]


def neighbour(state: int, address: str, kind: int = 28) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.inet_pton(family, address)
    body = struct.pack("=BxxxiHBB", family, 2, state, 0, 1)
    body += struct.pack("=HH", 4 + len(raw), 1) + raw
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


@pytest.mark.parametrize("address", [SERVER, "2001:db8::21"])
def test_messages_of_the_kernel(address: str) -> None:
    assert understand(neighbour(FAILED, address)) == Heard(frozenset({address}), False)
    assert understand(neighbour(REACHABLE, address)) == Heard(frozenset(), False)
    assert understand(neighbour(FAILED, address, kind=20)) == Heard(frozenset(), True)
    both = neighbour(FAILED, address) + neighbour(FAILED, "192.0.2.9", kind=21)
    assert understand(both) == Heard(frozenset({address}), True)
    for length in range(len(both)):
        assert understand(both[:length]).failed <= {address}  # half a message is no trouble


def test_a_neighbour_that_fails_hastens_all_checks_of_its_address() -> None:
    other = Watch(SocketCheck("tcp", "192.0.2.22", 80, 1.0), 1.0)
    lab = Lab(watch(80), watch(443), THROUGH, other, Watch(NoCheck("none"), 1.0))
    lab.told.news = [Heard(frozenset({SERVER, "192.0.2.99"}), False)]
    lab.senses.hear()
    assert lab.hastened == [watch(80), watch(443), THROUGH]


def test_a_machine_of_which_a_service_has_gone_down_is_suspected_once() -> None:
    other = Watch(SocketCheck("tcp", "192.0.2.22", 80, 1.0), 1.0)
    lab = Lab(watch(80), watch(443), THROUGH, other, Watch(NoCheck("none"), 1.0))
    lab.senses.suspect(watch(80))
    assert lab.hastened == [watch(443), THROUGH]
    lab.senses.suspect(watch(443))
    assert len(lab.hastened) == 2
    lab.senses.suspect(other)  # nothing else is there
    lab.senses.suspect(Watch(NoCheck("none"), 1.0))
    assert len(lab.hastened) == 2


def test_a_host_that_is_unreachable_for_want_of_arp_says_so() -> None:
    lab = Lab(watch(80), THROUGH)
    assert lab.refine(watch(80), result()) == "host unreachable"
    assert lab.refine(watch(80), result(good("connected"))) == "connected"
    lab.told.news = [Heard(frozenset({SERVER}), False)]
    words = f"host unreachable: {SERVER} does not answer ARP requests"
    assert lab.refine(watch(80), result()) == words  # heard before the answer is judged
    assert lab.refine(watch(80), result(bad("connection refused"))) == "connection refused"
    late = Result(UNREACHABLE, time.monotonic() + 2 * RECENT, 0.0)
    assert lab.refine(watch(80), late) == "host unreachable"


def test_neighbours_of_ipv6_are_solicited() -> None:
    six = Watch(SocketCheck("tcp", "2001:db8::21", 80, 1.0), 1.0)
    lab = Lab(six)
    lab.told.news = [Heard(frozenset({"2001:db8::21"}), False)]
    assert lab.refine(six, result()).endswith("does not answer neighbour solicitations")


def test_a_failure_at_the_virtual_address_says_where() -> None:
    lab = Lab(THROUGH)
    lab.doors.settle(lab.doors.table())
    assert lab.refine(THROUGH, result(bad("connection refused"))) == f"connection refused at {VIP}"
    silent = lab.refine(THROUGH, result(bad("no connection within 1 s")))
    assert silent == (f"no connection within 1 s at {VIP}, which it may not have on its loopback")


def test_an_address_that_comes_is_a_reason_to_look_and_trouble_is_told_once() -> None:
    off = Surroundings(STANDBY.holdings, {"eth0": False}, {"eth0": 0}, {}, STANDBY.floating)
    lab = Lab(THROUGH, around=off)
    (event,) = lab.senses.look()
    assert (event["level"], lab.senses.look()) == ("warning", [])
    assert "would be dropped if this router has that address" in event["text"]
    held = (*off.holdings, holding(VIP, 32, "eth0"))
    lab.around = Surroundings(held, {"eth0": False}, {"eth0": 0}, {}, STANDBY.floating)
    before = lab.looks
    lab.told.news = [Heard(frozenset(), True)]
    lab.senses.hear()
    assert lab.looks == before + 1
    (event,) = lab.senses.look()
    assert event["level"] == "err"
    assert event["text"].endswith("accept_local = 1; until then they change no state")
    assert lab.senses.problems == [event["text"].removesuffix("; until then they change no state")]
    lab.around = STANDBY
    (event,) = lab.senses.look()
    assert event["text"] == "checks through a virtual address work again"
    assert lab.senses.look() == lab.senses.problems == []


def test_a_check_that_somebody_wants_is_made_now_though_it_has_just_failed() -> None:
    async def main(port: int) -> int:
        began: list[float] = []

        def told(_unused: Watch, made: Result) -> bool:
            began.append(made.at)
            return False

        one = Watch(SocketCheck("tcp", "127.0.0.1", port, 1.0), 60.0)
        engine = Engine(told)
        engine.watch([one])
        for wanted in (1, 2, 3):
            while len(began) < wanted:
                await asyncio.sleep(0.01)
            engine.at_once([one, watch(1)])
            engine.at_once([one])
        await engine.stop()
        return len(began)

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    assert asyncio.run(asyncio.wait_for(main(port), 10)) == 3  # refused each time


def test_a_check_is_hastened_unless_its_failure_is_known() -> None:
    async def main(port: int, interval: float) -> list[float]:
        began: list[float] = []

        def told(_unused: Watch, made: Result) -> bool:
            began.append(made.at)
            return False

        one = Watch(SocketCheck("tcp", "127.0.0.1", port, 1.0), interval)
        engine = Engine(told)
        engine.watch([one])
        while not began:
            await asyncio.sleep(0.01)
        engine.hasten([one])  # too soon after the first
        await asyncio.sleep(0.05)
        assert len(began) == 1
        await asyncio.sleep(HASTE)
        engine.hasten([one, watch(1)])
        engine.hasten([one])
        await asyncio.sleep(0.1)
        await engine.stop()
        return began

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(10)
        port = sock.getsockname()[1]
        assert len(asyncio.run(main(port, 60.0))) == 2
    assert len(asyncio.run(main(port, 60.0))) == 1  # refused: no news
