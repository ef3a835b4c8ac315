# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router of old in a network namespace: the model of the original's pulse, with real sockets.

It has what matters to its partner: the four bytes on UDP 539, and the virtual addresses in its
kernel, announced. It serves nothing.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from piranha.net.addresses import Addresses, VirtualAddress
from piranha.net.rtnetlink import Netlink

from tests.cluster.heart_lab import PRIVATE, PUBLIC, Net, inside, namespace_file, setns
from tests.simulation.original import Act, Original

PORT = 539
_ETHERNET, _ARP = 0x0806, struct.Struct("!HHBBH6s4s6s4s")


class OldRouter:
    """Router `number` of the network, running the model in a child. Times in seconds."""

    def __init__(
        self, net: Net, number: int, addresses: list[VirtualAddress], times: tuple[float, float]
    ) -> None:
        self.namespace, self._number = net.routers[number], number
        self.times = times
        self._wanted = addresses
        self._kernel = inside(self.namespace, Netlink)
        self.pid = 0

    def start(self) -> None:
        """Boot it: whatever its kernel held is gone."""
        Addresses(self._kernel).release(self._wanted)
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                with namespace_file(self.namespace) as there:
                    setns(there.fileno())
                self._run()
                status = 0
            finally:
                os._exit(status)

    def holds(self) -> set[str]:
        """Give the virtual addresses that its kernel has."""
        held = {str(entry.address) for entry in self._kernel.addresses()}
        return held & {one.address for one in self._wanted}

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, and wait for its end."""
        if self.pid:
            os.kill(self.pid, number)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def lose_power(self) -> None:
        """Kill it, and let its kernel forget the addresses."""
        self.end()
        Addresses(self._kernel).release(self._wanted)

    def close(self) -> None:
        """End it, whatever it does."""
        self.lose_power()
        self._kernel.close()

    # -- in the child ---------------------------------------------------------------------------

    def _run(self) -> None:
        # As our hearts have it, so that a busy machine is not taken for one that has died.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        told = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_unused: told.append(True))
        paths = [(mine[self._number], mine[1 - self._number]) for mine in (PUBLIC, PRIVATE)]
        sockets = [_bound(own) for own, _partner in paths]
        partners = {partner for _own, partner in paths}
        self._kernel = Netlink()
        keepalive, deadtime = self.times
        model = Original(self._number == 0, keepalive, deadtime, time.monotonic())
        while not told:
            ready = select.select(sockets, [], [], keepalive / 20)[0]
            for one in ready:
                with suppress(BlockingIOError):
                    data, source = one.recvfrom(64)
                    if source[0] in partners:
                        self._do(model.heard(data, time.monotonic()))
            self._do(model.tick(time.monotonic()))
            for said in model.sends:
                for one, (_own, partner) in zip(sockets, paths, strict=True):
                    with suppress(OSError):
                        one.sendto(said, (partner, PORT))
            model.sends.clear()
        self._do(model.stop())

    def _do(self, acts: list[Act]) -> None:
        addresses = Addresses(self._kernel)
        for act in acts:
            match act:
                case Act.DEACTIVATE:
                    addresses.release(self._wanted)
                case Act.ACTIVATE | Act.ANNOUNCE:
                    addresses.acquire(self._wanted)
                    self._announce(addresses)

    def _announce(self, addresses: Addresses) -> None:
        for address, interface in addresses.devices(self._wanted):
            if address.version != 4:  # it knows no other
                continue
            mac, packed, all_ = interface.mac, address.packed, b"\xff" * 6
            frame = all_ + mac + struct.pack("!H", _ETHERNET)
            frame += _ARP.pack(1, 0x0800, 6, 4, 2, mac, packed, all_, packed)
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as one:
                one.bind((interface.name, 0))
                one.send(frame)


def _bound(own: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind((own, PORT))
    return made


@contextmanager
def old_router(
    net: Net, number: int, addresses: list[VirtualAddress], times: tuple[float, float]
) -> Iterator[OldRouter]:
    """Give one that is not started yet, and end it."""
    made = OldRouter(net, number, addresses, times)
    try:
        yield made
    finally:
        made.close()
