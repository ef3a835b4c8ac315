# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel in memory that the unit tests use answers as the real one does, mistakes included."""

from __future__ import annotations

import random

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import Kind, Operation
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.port import Command, NetlinkPort
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import (
    Daemon,
    Flush,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)

from ..unit.plugins.module_utils.ipvs.memory import MemoryPort

SERVICES = [
    Service(ServiceKey.by_address("tcp", "192.0.2.1", 80), "rr"),
    Service(ServiceKey.by_address("tcp", "192.0.2.1", 80), "nosuch"),
    Service(ServiceKey.by_address("tcp", "2001:db8::1", 80), "sh", flags=["sh-port"]),
    Service(ServiceKey.by_mark(5), "wlc", persistence=60),
]
SERVERS = [
    Server(ServerKey("198.51.100.1", 80), 1),
    Server(ServerKey("198.51.100.1", 80), 2, "direct", upper=5, lower=1),
    Server(ServerKey("198.51.100.2", 80), 0, "tunnel"),
    Server(ServerKey("2001:db8:1::1", 80), 1, "tunnel", tunnel="gre"),
    Server(ServerKey("2001:db8:1::2", 80), 1),
]
CONTROLS: list[Command] = [
    SetTimeouts(Timeouts(7, 0, 9)),
    StartDaemon(Daemon("master", "lo", syncid=3, maxlen=1000)),
    StartDaemon(Daemon("backup", "nosuch0")),
    StopDaemon(Role.MASTER),
    StopDaemon(Role.BACKUP),
    Zero(),
    Zero(SERVICES[0].key),
    Flush(),
]


def any_command(chance: random.Random) -> Command:
    """An operation, possible or not; now and then something else."""
    if chance.random() < 0.15:
        return chance.choice(CONTROLS)
    kind = chance.choice(list(Kind))
    service = chance.choice(SERVICES)
    subject = service if kind.value.endswith("service") else chance.choice(SERVERS)
    gone = kind.value.startswith("delete")
    sides = (subject, None) if gone else (None, subject)
    return Operation(kind, service.key, *sides)


@pytest.mark.parametrize("seed", range(12))
def test_both_kernels_give_the_same_answers(kernel: Kernel, seed: int) -> None:
    chance = random.Random(seed)
    real, memory = NetlinkPort(), MemoryPort()
    before = real.timeouts()
    memory.times = before
    try:
        for _number in range(120):
            command = any_command(chance)
            told, expected = real.send([command]), memory.send([command])
            if isinstance(command, StopDaemon) and told == [None]:
                told = [0]  # it had not run for a moment yet: no answer, as port.py says
            assert told == expected, command
            assert set(real.daemons()) == set(memory.daemons())
            assert real.timeouts() == memory.timeouts()
            assert kernel.read() == memory.table, command
    finally:
        for daemon in real.daemons():
            kernel.stop_daemon(daemon.role)
        kernel.set_timeouts(before)
