# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks through the virtual address: how they begin, and when their results count."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pytest
from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import ServiceKey, Table
from piranha.lvsd import doors as doors_module
from piranha.lvsd.doors import Doors, bind, by_hand
from piranha.lvsd.surroundings import Surroundings, holding
from piranha.nanny.outcome import Finding, Result, bad, good, unknown
from piranha.nanny.spec import SocketCheck, Through, Watch

VIP, SERVER = "192.0.2.100", "192.0.2.21"
CHECK = SocketCheck("tcp", VIP, 80, 1.0, through=Through(SERVER, "direct"))
PLAIN = SocketCheck("tcp", SERVER, 80, 1.0)
STANDBY = Surroundings(
    (holding("192.0.2.1", 24, "eth0"),),
    accept_local={"eth0": True},
    rp_filter={"eth0": 1},
    floating=frozenset({VIP}),
)
ACTIVE = replace(STANDBY, holdings=(*STANDBY.holdings, holding(VIP, 32, "eth0")))
REMEDY = "set net.ipv4.conf.eth0.accept_local = 1"


class Socket:
    """What of a socket is used."""

    def __init__(self, taken: Collection[int] = ()) -> None:
        self.bound: tuple[str, int] | None = None
        self.options: dict[int, object] = {}
        self._taken = taken

    def setsockopt(self, _level: int, name: int, value: object) -> None:
        self.options[name] = value

    def bind(self, where: tuple[str, int]) -> None:
        if where[1] in self._taken:
            raise OSError(errno.EADDRINUSE, "")
        self.bound = where


@dataclass
class Lab:
    """Doors, with a table and a network that the test sets."""

    around: Surroundings | None = STANDBY
    kernel: Table = field(default_factory=Table)
    refuse: bool = False

    def __post_init__(self) -> None:
        self.doors = Doors(self._read, lambda key: key in self.kernel, self._look)
        self.doors.configure([Watch(CHECK, 1.0), Watch(PLAIN, 1.0)], frozenset({VIP}))
        self.doors.settle(self.kernel)
        self.kernel = self.doors.table()

    def _read(self, only: Collection[ServiceKey]) -> Table:
        if self.refuse:
            raise IpvsError("the table", "cannot be read")
        return self.kernel.only(only)

    def _look(self, floating: frozenset[str], targets: Collection[str]) -> Surroundings:
        assert (floating, set(targets)) == ({VIP}, {SERVER})
        if self.around is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.around

    def verdict(self, result: Result | None = None, matters: bool = True) -> tuple[Finding, str]:
        made = result or Result(bad("no connection within 1 s"), time.monotonic(), 0.0)
        outcome = self.doors.credible(CHECK, made, matters=matters).outcome
        return outcome.finding, outcome.words

    def open(self) -> str | None:
        outcome = self.doors.open(Socket(), CHECK)  # type: ignore[arg-type]
        assert outcome is None or (outcome.finding is Finding.UNKNOWN and outcome.quiet)
        return outcome.words if outcome else None


def test_a_check_has_its_mark_and_its_own_end() -> None:
    lab, sock = Lab(), Socket()
    assert lab.doors.open(sock, CHECK) is None  # type: ignore[arg-type]
    (key,) = lab.kernel
    assert sock.options[socket.SO_MARK] == key.fwmark
    assert sock.options[socket.SO_LINGER] == b"\x01\0\0\0\0\0\0\0"
    assert sock.bound is not None
    assert sock.bound[0] == "192.0.2.1"
    assert sock.bound[1] >= 61000


def test_a_port_that_a_program_has_is_replaced_for_once() -> None:
    sock = Socket(taken=[61001])
    bind(sock, 1, "192.0.2.1", 61001, stream=True)  # type: ignore[arg-type]
    assert sock.bound == ("192.0.2.1", 0)
    with pytest.raises(OSError, match=str(errno.EADDRINUSE)):
        bind(Socket(taken=[0]), 1, "192.0.2.1", 0, stream=True)  # type: ignore[arg-type]


def test_nothing_is_sent_before_the_helper_service_is_there() -> None:
    lab = Lab()
    lab.kernel = Table()
    assert lab.open() == "not checked: its helper service is not in the table yet"


def test_results_count_while_all_is_well() -> None:
    for around in (STANDBY, ACTIVE):
        lab = Lab(around)
        assert lab.open() is None
        assert lab.verdict() == (Finding.BAD, "no connection within 1 s")
        assert lab.verdict(Result(good("connected"), time.monotonic(), 0.0))[0] is Finding.GOOD


def test_a_takeover_without_accept_local_makes_checks_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors_module, "SETTINGS_AGE", -1.0)
    off = {"eth0": False}
    lab = Lab(replace(STANDBY, accept_local=off))
    assert lab.open() is None  # the standby can check
    assert lab.verdict()[0] is Finding.BAD
    assert [one.now for one in lab.doors.troubles()] == [False]
    lab.around = replace(ACTIVE, accept_local=off)
    lab.doors.look()
    (standing,) = lab.doors.troubles()
    assert standing.now
    assert standing.words.endswith(REMEDY)
    assert (lab.open() or "").endswith(REMEDY)
    found = lab.verdict()
    assert found[0] is Finding.UNKNOWN
    assert found[1].endswith(REMEDY)
    lab.around = ACTIVE  # somebody sets it, of which the kernel tells nobody
    assert lab.verdict()[0] is Finding.BAD
    assert lab.doors.troubles() == []
    assert lab.open() is None


@pytest.mark.parametrize(("before", "after"), [(STANDBY, ACTIVE), (ACTIVE, STANDBY)])
def test_a_check_during_which_the_address_moved_does_not_count(
    before: Surroundings, after: Surroundings
) -> None:
    lab = Lab(before)
    began = Result(bad("no connection within 1 s"), time.monotonic(), 0.0)
    lab.around = after
    lab.doors.look()
    words = f"not checked: {VIP} came to this router or left it meanwhile"
    assert lab.verdict(began) == (Finding.UNKNOWN, words)
    assert lab.verdict()[0] is Finding.BAD  # one that began later counts


def test_a_helper_service_that_is_gone_explains_both_failure_and_success() -> None:
    lab = Lab()
    lab.kernel = Table()
    success = Result(good("connected"), time.monotonic(), 0.0)
    words = "not checked: its helper service was taken out of the table by somebody else"
    assert lab.verdict() == (Finding.UNKNOWN, words)
    assert lab.verdict(success) == (Finding.UNKNOWN, words)
    assert lab.verdict(success, matters=False)[0] is Finding.GOOD  # the server is up anyway
    lab.kernel, lab.refuse = lab.doors.table(), True
    assert lab.verdict() == (Finding.UNKNOWN, words)


def test_a_check_that_began_before_its_helper_service_was_mended_does_not_count() -> None:
    lab = Lab()
    began = Result(bad("connection refused"), time.monotonic(), 0.0)
    lab.doors.wrote(lab.kernel)
    assert lab.verdict(began)[0] is Finding.UNKNOWN
    assert lab.verdict()[0] is Finding.BAD


def test_other_checks_are_not_touched() -> None:
    lab = Lab()
    lab.kernel = Table()
    for outcome in (bad("connection refused"), good("connected"), unknown("not checked: why")):
        result = Result(outcome, 0.0, 0.0)
        assert lab.doors.credible(PLAIN, result, matters=True) is result
    result = Result(unknown("not checked: why"), 0.0, 0.0)
    assert lab.doors.credible(CHECK, result, matters=True) is result


def test_a_network_that_cannot_be_read() -> None:
    lab = Lab()
    lab.around = None
    lab.doors.look()
    words = "this router's addresses cannot be read: Too many open files"
    assert [one.words for one in lab.doors.troubles()] == [words]
    assert lab.open() == f"not checked: {words}"
    assert lab.verdict()[0] is Finding.UNKNOWN
    lab.around = STANDBY
    lab.doors.look()
    assert lab.doors.troubles() == []


def test_by_hand_the_helper_service_of_the_running_lvsd_is_used() -> None:
    lab, sock = Lab(), Socket()
    opener = by_hand(frozenset({VIP}), lambda: lab.kernel, lab._look)
    assert opener(sock, PLAIN) is None  # type: ignore[arg-type]
    assert sock.bound is None
    assert opener(sock, CHECK) is None  # type: ignore[arg-type]
    (key,) = lab.kernel
    assert (sock.options[socket.SO_MARK], sock.bound) == (key.fwmark, ("192.0.2.1", 0))
    lab.around = replace(ACTIVE, accept_local={"eth0": False})
    refused = opener(sock, CHECK)  # type: ignore[arg-type]
    assert refused is not None
    assert refused.words.endswith(REMEDY)
    lab.kernel = Table()
    refused = opener(sock, CHECK)  # type: ignore[arg-type]
    assert refused is not None
    assert refused.finding is Finding.UNKNOWN
    assert "lvsd makes it while it runs" in refused.words


def test_by_hand_without_the_right_to_read_the_table() -> None:
    def read() -> Table:
        raise IpvsError("the kernel's table", "not allowed", "run as root")

    refused = by_hand(frozenset(), read)(Socket(), CHECK)  # type: ignore[arg-type]
    assert refused is not None
    assert refused.words.startswith("not checked: ")
    assert "not allowed" in refused.words


def test_without_such_checks_nothing_is_looked_at() -> None:
    lab = Lab()
    lab.around = None
    lab.doors.configure([Watch(PLAIN, 1.0)], frozenset())
    assert not lab.doors.used
    assert lab.doors.troubles() == []
    lab.doors.settle(lab.kernel)
    assert not lab.doors.table()
