# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real server's helper on a real kernel: silence on the wire, tunnels' ends, ways back.

The helper runs in a network namespace of its own; what it made is read back with ip(8), and a
neighbour that never stops asking hears whether the machine claims the address.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HELPER = ROOT / "roles/piranha_realserver/files/piranha_realserver.py"
WATCH = ROOT / "tests/lab/arp_watch.py"
VIRTUAL, VIRTUAL6 = "203.0.113.100", "2001:db8:113::100"
NOTHING: dict[str, Any] = {
    "virtual_addresses": [],
    "tunnels": [],
    "gateway": None,
    "route": "default",
    "services": [],
}
# Runs the helper as its units do, with its files in a folder of the test's.
DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
import piranha_realserver as helper
helper.RUN, helper.PLAN = sys.argv[2] + "/run", sys.argv[2] + "/plan.json"
sys.argv[1:] = sys.argv[3:]
sys.exit(helper.main())
"""


def run(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert not check or done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout + ("" if check else done.stderr)


class RealServer:
    """A namespace with one card, and the helper in it."""

    name = "rs"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def inside(self, *argv: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", self.name, *argv, check=check)

    def helper(self, *argv: str, check: bool = True) -> list[str]:
        words = ["-c", DRIVER, str(HELPER.parent), str(self.folder), *argv]
        return self.inside(sys.executable, *words, check=check).splitlines()

    def apply(self, part: str = "addresses", **plan: Any) -> list[str]:
        (self.folder / "plan.json").write_text(json.dumps({**NOTHING, **plan}))
        return self.helper("apply", part)

    def ip(self, *words: str) -> Any:
        return json.loads(self.inside("ip", "-json", *words) or "[]")

    def gue_ports(self) -> int:
        """How many ports take GUE; before the first one the kernel does not know the question."""
        return self.inside("ip", "fou", "show", check=False).count("gue")

    def picture(self) -> str:
        """All that the helper may touch, as text."""
        looks = (
            ("ip", "-o", "address", "show", "dev", "lo"),
            ("ip", "rule"),
            ("ip", "-6", "rule"),
            ("ip", "route", "show", "table", "all", "type", "unicast"),
            ("sysctl", "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce"),
        )
        return "".join(self.inside(*look) for look in looks)


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[RealServer]:
    server = RealServer(tmp_path)
    run("ip", "netns", "add", server.name)
    try:
        peer = ("peer", "name", "eth1", "netns", server.name)
        run("ip", "link", "add", "near", "type", "veth", *peer)
        run("ip", "address", "add", "203.0.113.1/24", "dev", "near")
        run("ip", "link", "set", "near", "up")
        server.inside("ip", "link", "set", "lo", "up")
        for address in ("203.0.113.21/24", "2001:db8:113::21/64"):
            server.inside("ip", "address", "add", address, "dev", "eth1", *(
                ["nodad"] if ":" in address else []))
        server.inside("ip", "link", "set", "eth1", "up")
        yield server
    finally:
        run("ip", "netns", "delete", server.name)


def claims(folder: Path, seconds: float, during: Any) -> dict[str, Any]:
    """Ask for the virtual address all the time while something is done; give what was heard."""
    result = folder / "heard.json"
    argv = [sys.executable, str(WATCH), "near", VIRTUAL, str(result), "--seconds", str(seconds)]
    with subprocess.Popen([*argv, "--interval", "0.01"]) as watch:
        until = time.monotonic() + 20
        while not result.exists() and time.monotonic() < until:
            time.sleep(0.05)
        during()
        assert watch.wait(60) == 0
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def test_no_answer_leaves_while_the_addresses_come_and_go(
    real_server: RealServer, tmp_path: Path
) -> None:
    def there_and_back() -> None:
        for _unused in range(3):
            real_server.apply(virtual_addresses=[VIRTUAL, VIRTUAL6])
            real_server.helper("remove", "addresses")

    heard = claims(tmp_path, 15, there_and_back)
    assert heard["asked"] > 100
    assert heard["owners"] == {}


def test_the_watch_hears_a_machine_that_is_not_silent(
    real_server: RealServer, tmp_path: Path
) -> None:
    def aloud() -> None:
        real_server.inside("ip", "address", "add", f"{VIRTUAL}/32", "dev", "lo")

    heard = claims(tmp_path, 4, aloud)
    assert list(heard["owners"]) == [real_server.ip("link", "show", "eth1")[0]["address"]]


def test_addresses_are_on_lo_alone_and_nothing_is_left(real_server: RealServer) -> None:
    before = real_server.picture()
    real_server.apply(virtual_addresses=[VIRTUAL, VIRTUAL6])
    found = real_server.ip("address", "show", "dev", "lo")[0]["addr_info"]
    assert {(a["local"], a["prefixlen"]) for a in found} >= {(VIRTUAL, 32), (VIRTUAL6, 128)}
    # A connection of our own never begins from a virtual address.
    real_server.inside("ip", "route", "add", "default", "via", "203.0.113.1")
    assert real_server.ip("route", "get", "198.51.100.1")[0]["prefsrc"] == "203.0.113.21"
    real_server.inside("ip", "route", "del", "default")
    assert real_server.apply(virtual_addresses=[VIRTUAL, VIRTUAL6]) == []
    real_server.helper("remove", "addresses")
    assert real_server.picture() == before
    assert not (real_server.folder / "run/addresses.json").exists()


def test_what_was_taken_away_comes_back_and_only_that(real_server: RealServer) -> None:
    real_server.apply(virtual_addresses=[VIRTUAL, VIRTUAL6])
    real_server.inside("ip", "address", "del", f"{VIRTUAL}/32", "dev", "lo")
    assert real_server.apply(virtual_addresses=[VIRTUAL, VIRTUAL6]) == [
        f"ip -4 address add {VIRTUAL}/32 dev lo scope host"
    ]


def tunnel(kind: str, address: str, **more: Any) -> dict[str, Any]:
    whole = {"type": kind, "port": 0, "checksum": False, "address": address}
    return {**whole, "virtual_addresses": [VIRTUAL], **more}


@pytest.mark.parametrize(
    ("ends", "device"),
    [
        ([tunnel("ipip", "203.0.113.21")], "lvs-ipip"),
        ([tunnel("ipip", "203.0.113.21", virtual_addresses=[VIRTUAL, VIRTUAL6])], "lvs-sit"),
        ([tunnel("ipip", "2001:db8:113::21")], "lvs-ip6tnl"),
        ([tunnel("gue", "203.0.113.21", port=6080)], "lvs-ipip"),
        ([tunnel("gue", "2001:db8:113::21", port=6080)], "lvs-ip6tnl"),
        ([tunnel("gre", "203.0.113.21")], "lvs-gre"),
        ([tunnel("gre", "203.0.113.21", checksum=True)], "lvs-grec"),
        ([tunnel("gre", "2001:db8:113::21")], "lvs-ip6gre"),
    ],
)
def test_each_tunnel_has_an_end_and_loses_it(
    real_server: RealServer, ends: list[Any], device: str
) -> None:
    before = real_server.picture()
    plan = {"virtual_addresses": [VIRTUAL], "tunnels": ends}
    real_server.apply(**plan)
    links = {link["ifname"]: link for link in real_server.ip("link", "show")}
    assert "UP" in links[device]["flags"]
    assert real_server.inside("sysctl", "-n", f"net.ipv4.conf.{device}.rp_filter").strip() == "2"
    gue = [end for end in ends if end["type"] == "gue"]
    assert real_server.gue_ports() == len(gue)
    assert real_server.apply(**plan) == []
    real_server.helper("remove", "addresses")
    # Loading a tunnel's module leaves the kernel's own idle device (tunl0), which is not ours.
    assert "lvs-" not in real_server.inside("ip", "-o", "link", "show")
    assert real_server.gue_ports() == 0
    assert real_server.picture() == before


HEAR = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.bind(("203.0.113.100", 9999))
    s.settimeout(10)
    print("ready", flush=True)
    print(s.recv(99).decode())
"""


def wrapped(source: str, target: str, content: bytes) -> bytes:
    """Give a UDP packet with its IP header, for a tunnel to wrap; without checksums."""
    udp = struct.pack("!HHHH", 5000, 9999, 8 + len(content), 0) + content
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0x4000, 64, 17, 0,
        socket.inet_aton(source), socket.inet_aton(target),
    )
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + udp


@pytest.mark.parametrize("everywhere", ["0", "1", "2"])
@pytest.mark.parametrize("kind", ["ipip", "gue", "gre"])
def test_a_clients_packet_comes_out_of_the_tunnel_however_strict_the_machine_is(
    real_server: RealServer, kind: str, everywhere: str
) -> None:
    real_server.inside("sysctl", "-q", "-w", f"net.ipv4.conf.all.rp_filter={everywhere}")
    ends = [tunnel(kind, "203.0.113.21", port=6080 if kind == "gue" else 0)]
    real_server.apply(virtual_addresses=[VIRTUAL], tunnels=ends)
    argv = ["ip", "netns", "exec", real_server.name, sys.executable, "-c", HEAR]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        packet = wrapped("198.51.100.7", VIRTUAL, kind.encode())
        # The client is elsewhere: only the default route leads back to it.
        real_server.inside("ip", "route", "add", "default", "via", "203.0.113.1")
        protocol = {"ipip": socket.IPPROTO_IPIP, "gre": socket.IPPROTO_GRE}
        if kind == "gue":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
                line.sendto(b"\0\x04\0\0" + packet, ("203.0.113.21", 6080))
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol[kind]) as line:
                head = b"\0\0\x08\0" if kind == "gre" else b""
                line.sendto(head + packet, ("203.0.113.21", 0))
        assert listener.stdout.readline() == f"{kind}\n"


def test_a_policy_leads_answers_of_the_service_alone_through_the_router(
    real_server: RealServer,
) -> None:
    before = real_server.picture()
    services = [{"address": "203.0.113.21", "protocol": "tcp", "port": 80}]
    plan = {"gateway": "203.0.113.254", "route": "policy", "services": services}
    real_server.inside("ip", "route", "add", "default", "via", "203.0.113.1")
    with_default = real_server.picture()
    real_server.apply("routes", **plan)
    way = ("route", "get", "198.51.100.1", "from", "203.0.113.21", "ipproto", "tcp", "sport")
    assert real_server.ip(*way, "80")[0]["gateway"] == "203.0.113.254"
    assert real_server.ip(*way, "22")[0]["gateway"] == "203.0.113.1"
    assert real_server.apply("routes", **plan) == []
    # From policy to default: nothing of the policy stays, and the route is one.
    real_server.apply("routes", **{**plan, "route": "default"})
    assert real_server.ip(*way, "22")[0]["gateway"] == "203.0.113.254"
    assert "539" not in real_server.inside("ip", "rule")
    real_server.helper("remove", "routes")
    real_server.inside("ip", "route", "replace", "default", "via", "203.0.113.1")
    assert real_server.picture() == with_default
    real_server.inside("ip", "route", "del", "default")
    assert real_server.picture() == before


def test_a_failure_is_one_sentence_and_the_next_run_mends_it(real_server: RealServer) -> None:
    real_server.apply(virtual_addresses=[VIRTUAL])
    plan = {"virtual_addresses": [VIRTUAL], "tunnels": [tunnel("ipip", "203.0.113.21")]}
    real_server.inside("ip", "link", "add", "name", "lvs-ipip", "type", "veth", "peer", "name", "x")
    (real_server.folder / "plan.json").write_text(json.dumps({**NOTHING, **plan}))
    said = real_server.helper("apply", "addresses", check=False)
    assert len(said) == 1
    assert said[0].startswith("piranha-realserver: ip link add name lvs-ipip")
    real_server.inside("ip", "link", "del", "lvs-ipip")
    assert "ip link set lvs-ipip up" in real_server.apply(**plan)
