# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster with direct routing and tunnels in network namespaces of this kernel.

All machines are on one network, as direct routing needs; each real server listens on every address.

    client .100, r1 .11, r2 .12, virtual addresses .10 (direct) and .20 (tunnel)
    d1 .21, d2 .22 have the first on lo, d3 .23 has not; t1 .31 has the second on tunl0, t2 .32 not

Everything it makes ends with `down`. It says how things are done, not what must come of it. Only
for a kernel of its own (tests/lab/in-ipvs-kernel).
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piranha.control.render import services

from tests.cluster.cluster import HERE, Router, inside, run, soon

NETWORK, NETWORK6 = "198.51.100", "2001:db8:1:"
DIRECT, TUNNEL = f"{NETWORK}.10", f"{NETWORK}.20"
DIRECT6 = f"{NETWORK6}:10"
SWITCH = "dr-switch"
NUMBERS = {"r1": 11, "r2": 12, "d1": 21, "d2": 22, "d3": 23, "t1": 31, "t2": 32, "client": 100}
SERVERS = ("d1", "d2", "d3", "t1", "t2")
WITH_ADDRESS = {"d1": DIRECT, "d2": DIRECT, "t1": TUNNEL}
ROUTERS = ("r1", "r2")
PORT = 80


ASK = """\
import sys, urllib.request
for _unused in range(int(sys.argv[2])):
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode().strip())
"""


def address(name: str) -> str:
    """Give a machine's own address."""
    return f"{NETWORK}.{NUMBERS[name]}"


def address6(name: str) -> str:
    """The same in IPv6."""
    return f"{NETWORK6}:{NUMBERS[name]}"


def _virtual(name: str, virtual: str, forward: str, servers: dict[str, str], extra: str) -> str:
    blocks = "".join(
        f"    server {server} {{\n        address = {place}\n        active = 1\n    }}\n"
        for server, place in servers.items()
    )
    return (
        f"virtual {name} {{\n    active = 1\n    address = {virtual} eth0:1\n    port = {PORT}\n"
        f"    forward = {forward}\n    scheduler = rr\n    timeout = 2\n    reentry = 1\n"
        f"{extra}{blocks}}}\n"
    )


def config(extra: str = "    check_via = virtual\n", tunnel_extra: str | None = None) -> str:
    """Give lvs.cf: three services, checked through the virtual address unless `extra` differs."""
    direct = {name: address(name) for name in ("d1", "d2", "d3")}
    direct6 = {name: address6(name) for name in ("d1", "d2", "d3")}
    tunnel = {name: address(name) for name in ("t1", "t2")}
    return (
        f"primary = {address('r1')}\nbackup = {address('r2')}\nbackup_active = 1\nheartbeat = 1\n"
        "keepalive = 0.5\ndeadtime = 1.5\nservice = lvs\n"
        + _virtual("direct", DIRECT, "direct", direct, extra)
        + _virtual("six", DIRECT6, "direct", direct6, extra)
        + _virtual(
            "tunnel", TUNNEL, "tunnel", tunnel, extra if tunnel_extra is None else tunnel_extra
        )
    )


def make_network() -> None:
    """Make namespaces and cables, all of them up, and the servers' virtual addresses."""
    for name in (SWITCH, *NUMBERS):
        run("ip", "netns", "add", name)
    lines = ["link add name sw type bridge", "link set dev sw up"]
    for name in NUMBERS:
        lines.append(f"link add {name} type veth peer name eth0 netns {name}")
        lines.append(f"link set {name} master sw up")
    run("ip", "-n", SWITCH, "-batch", "-", text="\n".join(lines))
    for name in NUMBERS:
        lines = [
            "link set lo up",
            "link set eth0 up",
            f"address add {address(name)}/24 dev eth0",
            f"address add {address6(name)}/64 dev eth0 nodad",
        ]
        if name.startswith("t"):
            run(*inside(name, "ip", "tunnel", "add", "tun0", "mode", "ipip"), check=False)
            lines.append("link set tunl0 up")
        if name in WITH_ADDRESS:
            device = "tunl0" if name.startswith("t") else "lo"
            lines.append(f"address add {WITH_ADDRESS[name]}/32 dev {device}")
            if device == "lo":
                lines.append(f"address add {DIRECT6}/128 dev lo nodad")
        run("ip", "-n", name, "-batch", "-", text="\n".join(lines))
        if name in SERVERS:
            settings = ["net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"]
            if name.startswith("t"):
                settings += ["net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.tunl0.rp_filter=0"]
            run(*inside(name, "sysctl", "-q", "-w", *settings))


class DirectRouter(Router):
    """One router's agent; its cable is the only one."""

    def power_off(self) -> None:
        """End all its processes at once and cut its cable."""
        run("ip", "-n", SWITCH, "link", "set", self.name, "down")
        self.kill_all()

    def power_on(self) -> None:
        """Connect its cable again and forget what a machine forgets when it boots."""
        for virtual in (DIRECT, TUNNEL):
            run("ip", "-n", self.name, "address", "flush", "to", f"{virtual}/32", check=False)
        run("ip", "-n", self.name, "address", "del", f"{DIRECT6}/128", "dev", "eth0", check=False)
        run(*inside(self.name, "ipvsadm", "-C"))
        self.forget()
        run("ip", "-n", SWITCH, "link", "set", self.name, "up")

    def set(self, name: str, value: int, device: str = "all") -> None:
        """Set one of the kernel's IPv4 settings of a device."""
        run(*inside(self.name, "sysctl", "-q", "-w", f"net.ipv4.conf.{device}.{name}={value}"))

    def servers(self) -> dict[str, dict[str, Any]]:
        """What status says of each real server, by virtual server and name: `direct/d1`."""
        return {
            f"{virtual['name']}/{server['name']}": server
            for virtual in services(self.status())
            for server in virtual["servers"]
        }

    def states(self) -> dict[str, str]:
        """The state of each real server."""
        return {name: server["state"] for name, server in self.servers().items()}


@dataclass
class DirectCluster:
    """All of it."""

    folder: Path
    routers: dict[str, DirectRouter] = field(default_factory=dict)
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def up(self) -> None:
        """Make the network and start the real servers."""
        make_network()
        self.routers = {name: DirectRouter(name, self.folder / name) for name in ROUTERS}
        for name in SERVERS:
            for every in ("0.0.0.0", "::"):
                argv = [sys.executable, str(HERE / "real_server.py"), every, str(PORT), name]
                self.programs.append(subprocess.Popen(inside(name, *argv)))

    def down(self) -> None:
        """End everything."""
        for router in self.routers.values():
            router.power_off()
        for program in self.programs:
            program.kill()
            program.wait(10)
        for name in (SWITCH, *NUMBERS):
            run("ip", "netns", "delete", name, check=False)

    def start(self, text: str, accept_local: int = 1) -> None:
        """Start both agents and wait until r1 serves and r2 stands by."""
        key = secrets.token_hex(32)
        for router in self.routers.values():
            router.write(text, key)
            router.set("accept_local", accept_local)
        for name, state in (("r1", "active"), ("r2", "standby")):
            self.routers[name].start()
            soon(lambda r=self.routers[name], s=state: r.state() == s, f"{name} is {state}")  # type: ignore[misc]

    def stop(self) -> None:
        """Stop both agents and make everything as it was."""
        for router in self.routers.values():
            router.power_off()
            router.power_on()
            router.set("accept_local", 0)

    @staticmethod
    def ask(virtual: str = DIRECT, times: int = 4) -> set[str]:
        """Give the names of the servers that answer the client at a virtual address."""
        argv = [sys.executable, "-c", ASK, f"http://{virtual}:{PORT}/", str(times)]
        return set(run(*inside("client", *argv)).split())


def steady(router: DirectRouter, seconds: float) -> set[tuple[str, str]]:
    """Every state that any server is seen in for some seconds."""
    seen: set[tuple[str, str]] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen |= set(router.states().items())
        time.sleep(0.1)
    return seen
