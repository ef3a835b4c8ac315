# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the real table while others write: what the kernel's lists leave out, and what we make of
it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import Kind, Operation, plan
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.port import NetlinkPort

from . import readers

ONE = Server(ServerKey("198.51.100.1", 80))


def service(number: int) -> Service:
    return Service(ServiceKey.by_address("tcp", "192.0.2.1", 1000 + number), "rr")


def server(number: int) -> Server:
    return Server(ServerKey(f"198.51.{100 + number // 200}.{1 + number % 200}", 80))


class Meddled(NetlinkPort):
    """Between the first and the second piece of a list another program does something, once."""

    def __init__(self, meddle: Callable[[int], None]) -> None:
        super().__init__()
        self.meddle = meddle
        self.pieces = 0
        self.armed = False

    def _get(self) -> bytes:
        piece = super()._get()
        if self.armed and len(piece) > 4000:
            self.armed = False
            self.meddle(len(piece))
        return piece


def test_a_list_of_services_that_left_one_out_is_not_believed(kernel: Kernel) -> None:
    """Somebody deletes a service that was told already: the kernel passes over another one."""
    table = Table((service(number), [ONE]) for number in range(300))
    kernel.apply(plan(table, Table())).raise_first()
    first = NetlinkPort().services(False)[0][0].service

    def delete(_size: int) -> None:
        kernel.apply([Operation(Kind.DELETE_SERVICE, first.key, first, None)]).raise_first()

    remaining = table.without([first.key])
    port = Meddled(delete)
    port.armed = True
    rows, whole = port.services(False)
    told = {row.service.key for row in rows}
    assert not whole
    assert told - {first.key} < set(remaining), "this kernel's lists have no holes any more"

    kernel.apply([Operation(Kind.ADD_SERVICE, first.key, None, first)]).raise_first()
    port.armed = True
    # A whole reading meets the hole, and so does a comparison; neither believes it.
    assert Kernel(port=port).read().without([first.key]) == remaining
    assert not port.armed
    kernel.apply([Operation(Kind.ADD_SERVICE, first.key, None, first)]).raise_first()
    port.armed = True
    compared = Kernel(port=port).compare(lambda actual: plan(remaining, actual, list(remaining)))
    assert not port.armed
    assert compared.operations == ()


def test_a_list_of_servers_that_left_one_out_is_not_believed(kernel: Kernel) -> None:
    everyone = [server(number) for number in range(400)]
    web = service(0)
    kernel.apply(plan(Table([(web, everyone)]), Table())).raise_first()
    first = NetlinkPort().servers(web.key, False)[0][0].server
    remaining = Table([(web, [one for one in everyone if one != first])])

    def delete(_size: int) -> None:
        kernel.apply([Operation(Kind.DELETE_SERVER, web.key, first, None)]).raise_first()

    port = Meddled(delete)
    port.armed = True
    rows, whole = port.servers(web.key, False)
    told = {row.server.key for row in rows} - {first.key}
    assert not whole
    assert told < set(remaining.servers(web.key)), "this kernel's lists have no holes any more"
    for read in (
        lambda ours: ours.read_service(web.key),
        lambda ours: ours.compare(lambda actual: plan(remaining, actual)).actual[web.key],
    ):
        kernel.apply([Operation(Kind.ADD_SERVER, web.key, None, first)]).raise_first()
        port.armed = True
        assert read(Kernel(port=port)) == remaining[web.key]
        assert not port.armed


def test_another_process_that_comes_and_goes_is_no_difference_of_ours(kernel: Kernel) -> None:
    table = Table((service(number), [ONE]) for number in range(300))
    kernel.apply(plan(table, Table())).raise_first()
    guests = [service(number) for number in range(400, 450)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            chance = random.Random(6)
            with Kernel(batch=1) as theirs:
                for _round in range(60):
                    some = chance.sample(guests, 10)
                    theirs.apply([Operation(Kind.ADD_SERVICE, g.key, None, g) for g in some])
                    theirs.apply([Operation(Kind.DELETE_SERVICE, g.key, g, None) for g in some])
            code = 0
        finally:
            os._exit(code)
    rounds, status = 0, (0, 0)
    while status == (0, 0):
        compared = kernel.compare(lambda actual: plan(table, actual, list(table)))
        assert compared.operations == ()
        rounds += 1
        status = os.waitpid(child, os.WNOHANG)
    assert status == (child, 0)
    assert rounds > 1
    assert kernel.read() == table


def test_the_routers_own_address_as_a_server_stays_as_it_was_set(kernel: Kernel) -> None:
    """Old kernels made such a server "local", which would be a difference for ever."""
    web = service(0)
    for forward in ("nat", "direct", "tunnel"):
        table = Table([(web, [Server(ServerKey("192.0.2.1", 1000), forward=forward)])])
        kernel.apply(plan(table, kernel.read())).raise_first()
        assert kernel.read() == readers.by_pyroute2() == table
