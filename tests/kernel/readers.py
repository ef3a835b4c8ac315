# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table as others read it: ipvsadm's text, and pyroute2's messages made into a Table.

Nothing here uses the library's codec; that is the point of it.
"""

from __future__ import annotations

import subprocess
from typing import Any

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from pyroute2 import IPVS, IPVSService

PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
METHODS = {0: "nat", 2: "tunnel", 3: "direct"}
TUNNELS = {0: "ipip", 1: "gue", 2: "gre"}
CHECKSUMS = {0: "nocsum", 1: "csum", 2: "remcsum"}
FLAG_BITS = {0x08: "flag-1", 0x10: "flag-2", 0x20: "flag-3"}


def ipvsadm(*words: str) -> str:
    """Run ipvsadm; its output. Fails if it fails."""
    done = subprocess.run(
        ["ipvsadm", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def saved() -> list[str]:
    """The lines of `ipvsadm -Sn`, as they come."""
    return [line.strip() for line in ipvsadm("-Sn").splitlines()]


def by_pyroute2() -> Table:
    """The table as pyroute2 reads it."""
    with IPVS() as ipvs:
        entries = []
        for message in ipvs.service("dump"):
            service = message.get("service")
            asked = IPVSService.from_message(message)
            servers = [_server(found.get("dest")) for found in ipvs.dest("dump", service=asked)]
            entries.append((_service(service), servers))
    return Table(entries)


def _service(told: Any) -> Service:
    family = {2: "ipv4", 10: "ipv6"}[told.get("af")]
    if told.get("fwmark"):
        key = ServiceKey.by_mark(told.get("fwmark"), family)
    else:
        protocol = PROTOCOLS[told.get("protocol")]
        key = ServiceKey.by_address(protocol, told.get("addr"), told.get("port"))
        assert key.family == family
    flags = told.get("flags")["flags"]
    mask = told.get("netmask")
    if family == "ipv6":  # a number that pyroute2 takes for an address: 64.0.0.0 is 64
        mask = str(int.from_bytes(bytes(map(int, mask.split("."))), "little"))
    return Service(
        key,
        told.get("sched_name"),
        flags=[name for bit, name in FLAG_BITS.items() if flags & bit],
        persistence=told.get("timeout") if flags & 0x1 else 0,
        mask=mask,
        engine=told.get("pe_name") or "",
        one_packet=bool(flags & 0x4),
    )


def _server(told: Any) -> Server:
    forward = METHODS[told.get("fwd_method") & 7]
    tunnel = {}
    if forward == "tunnel":
        tunnel = {
            "tunnel": TUNNELS[told.get("tun_type")],
            # The port is in network order on the wire; pyroute2 reads it in the machine's.
            "tunnel_port": int.from_bytes(told.get("tun_port").to_bytes(2, "little"), "big"),
            "tunnel_checksum": CHECKSUMS[told.get("tun_flags")],
        }
    return Server(
        ServerKey(told.get("addr"), told.get("port")),
        told.get("weight"),
        forward,
        upper=told.get("u_thresh"),
        lower=told.get("l_thresh"),
        **tunnel,
    )
