# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""When halves of the sync daemon are started and stopped, on a kernel made up."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest
from piranha.core.ipvs.settings import Daemon, Role, StartDaemon, StopDaemon
from piranha.core.lvs_cf import api
from piranha.pulse.heart_settings import extract
from piranha.pulse.syncing import AGAIN, STEADY, Syncing, SyncSettings, steps

WANTED = SyncSettings("eth1", 7)
MASTER, BACKUP = WANTED.daemons()
ON_LO = Daemon(Role.BACKUP, "lo", syncid=99)


class Kernel:
    """Two halves, as the kernel keeps them; the methods of a port that are used."""

    def __init__(self, *running: Daemon) -> None:
        self.running = {one.role: one for one in running}
        self.refuses = 0
        self.sent: list[StartDaemon | StopDaemon] = []

    def daemons(self) -> tuple[Daemon, ...]:
        return tuple(self.running.values())

    def send(self, commands: Sequence[Any]) -> list[int | None]:
        return [self._one(command) for command in commands]

    def _one(self, command: StartDaemon | StopDaemon) -> int:
        self.sent.append(command)
        if isinstance(command, StopDaemon):
            return 0 if self.running.pop(command.role, None) else errno.ESRCH
        if self.refuses or command.daemon.role in self.running:
            return self.refuses or errno.EEXIST
        self.running[command.daemon.role] = command.daemon
        return 0

    def close(self) -> None:
        pass


def syncing(kernel: Kernel, wanted: SyncSettings | None = WANTED) -> Syncing:
    return Syncing(wanted, kernel)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("running", "busy", "expected"),
    [
        ((), False, [StartDaemon(MASTER), StartDaemon(BACKUP)]),
        ((MASTER, BACKUP), False, []),
        ((BACKUP.replace(maxlen=1460), MASTER), False, []),
        ((MASTER,), False, [StartDaemon(BACKUP)]),
        ((MASTER, ON_LO), False, [StopDaemon(Role.BACKUP), StartDaemon(BACKUP)]),
        ((MASTER, ON_LO), True, []),
        (
            (MASTER.replace(syncid=8), BACKUP),
            True,
            [StopDaemon(Role.MASTER), StartDaemon(MASTER)],
        ),
    ],
)
def test_steps(running: tuple[Daemon, ...], busy: bool, expected: list[object]) -> None:
    assert steps((MASTER, BACKUP), running, busy=busy) == expected


def test_both_halves_run_and_come_back() -> None:
    kernel = Kernel()
    made = syncing(kernel)
    made.step(100.0, busy=False)
    assert set(kernel.daemons()) == {MASTER, BACKUP}
    assert made.state() == {"interface": "eth1", "id": 7, "master": True, "backup": True}
    assert made.problem == ""
    del kernel.running[Role.MASTER]
    made.step(100.1, busy=False)
    assert len(kernel.running) == 1, "it looks every some seconds only"
    assert made.next_at() == 100.0 + STEADY
    made.step(100.0 + STEADY, busy=False)
    assert set(kernel.daemons()) == {MASTER, BACKUP}


def test_a_reload_replaces_and_stops_them() -> None:
    kernel = Kernel()
    made = syncing(kernel)
    made.step(100.0, busy=False)
    made.want(SyncSettings("eth2", 9))
    made.step(100.1, busy=False)
    assert {(one.interface, one.syncid) for one in kernel.daemons()} == {("eth2", 9)}
    made.want(None)
    assert kernel.daemons() == ()
    assert made.state() is None
    assert made.next_at() is None


def test_what_others_run_is_left_alone_where_none_is_wanted() -> None:
    kernel = Kernel(MASTER)
    made = syncing(kernel, None)
    made.step(100.0, busy=False)
    made.want(None)
    assert kernel.daemons() == (MASTER,)
    assert kernel.sent == []


def test_an_interface_that_is_not_there_is_a_problem_until_it_is() -> None:
    kernel = Kernel()
    kernel.refuses = errno.ENODEV
    made = syncing(kernel)
    made.step(100.0, busy=False)
    assert "over eth1 (No such device)" in made.problem
    assert made.state() == {"interface": "eth1", "id": 7, "master": False, "backup": False}
    kernel.refuses = 0
    made.step(100.0 + AGAIN, busy=False)
    assert made.problem == ""


def test_a_half_that_takes_connections_is_waited_for() -> None:
    kernel = Kernel(ON_LO)
    made = syncing(kernel)
    made.step(100.0, busy=True)
    assert kernel.running[Role.BACKUP] == ON_LO
    assert made.problem == ""
    made.step(100.0 + AGAIN, busy=False)
    assert kernel.running[Role.BACKUP] == BACKUP


def test_directives() -> None:
    text = "primary = 192.0.2.11\nsyncdaemon = {}\nsyncd_id = 7\nsyncd_iface = eth1\n"
    own = frozenset({ip_address("192.0.2.11")})
    assert extract(api.load(text.format(1)).config, own).sync == WANTED
    assert extract(api.load(text.format(0)).config, own).sync is None
