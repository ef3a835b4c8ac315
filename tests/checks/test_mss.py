# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads through a way that is narrower than it says pass if the real server's answers say so.

A client, a router and a real server in network namespaces. The router's way to the real server
takes 1480 bytes, as an ipip tunnel over 1500 does, and it tells nobody (ICMP is dropped). Every
packet of the client's has the flag that forbids fragments. nftables is this machine's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HELPER = ROOT / "roles/piranha_realserver/files/piranha_realserver.py"
CLIENT, ROUTER, SERVER = "piranha-test-mc", "piranha-test-mr", "piranha-test-ms"
VIRTUAL, OTHER = "203.0.113.100", "203.0.113.101"
SIZE = 1_000_000
DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
import piranha_realserver as helper
helper.PLAN, helper.RUN = sys.argv[2], sys.argv[3]
sys.argv[1:] = sys.argv[4:]
sys.exit(helper.main())
"""
LISTEN = """
import socket
with socket.create_server(("", 80)) as door:
    door.settimeout(30)
    print("ready", flush=True)
    while True:
        one, _from = door.accept()
        with one:
            one.settimeout(2.5)
            count = 0
            try:
                while count < 1_000_000 and (part := one.recv(65536)):
                    count += len(part)
                one.sendall(b"%d" % count)
            except OSError:
                pass
"""
UPLOAD = """
import socket, sys
IP_MTU_DISCOVER, DO = 10, 2
with socket.socket() as s:
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DO)
    s.settimeout(2)
    s.connect((sys.argv[1], 80))
    print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
    s.sendall(bytes(1_000_000))
    print(s.recv(100).decode())
"""
pytestmark = pytest.mark.whole
TUNNEL = {"type": "ipip", "port": 0, "checksum": False, "address": "192.0.2.21",
          "virtual_addresses": [VIRTUAL]}


def sh(*words: str, text: str = "", good: bool = True) -> str:
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 or not good, (words, done.stderr)
    return done.stdout


def within(name: str, *words: str, **more: Any) -> str:
    return sh("ip", "netns", "exec", name, *words, **more)


def cable(one: str, other: str, device: str, addresses: tuple[str, str]) -> None:
    sh("ip", "-n", one, "link", "add", device, "type", "veth", "peer", "name", device,
       "netns", other)
    for name, address in zip((one, other), addresses, strict=True):
        sh("ip", "-n", name, "address", "add", address, "dev", device)
        sh("ip", "-n", name, "link", "set", device, "up")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    for name in (CLIENT, ROUTER, SERVER):
        sh("ip", "netns", "add", name)
    listener = None
    try:
        cable(CLIENT, ROUTER, "out", ("198.51.100.31/24", "198.51.100.1/24"))
        cable(ROUTER, SERVER, "in", ("192.0.2.1/24", "192.0.2.21/24"))
        sh("ip", "-n", CLIENT, "route", "add", "default", "via", "198.51.100.1")
        sh("ip", "-n", SERVER, "route", "add", "default", "via", "192.0.2.1")
        sh("ip", "-n", SERVER, "link", "set", "lo", "up")
        within(ROUTER, "sysctl", "-q", "net.ipv4.ip_forward=1")
        for address in (VIRTUAL, OTHER):
            narrow = ("via", "192.0.2.21", "mtu", "lock", "1480")
            sh("ip", "-n", ROUTER, "route", "add", address, *narrow)
            sh("ip", "-n", SERVER, "address", "add", f"{address}/32", "dev", "lo")
        within(ROUTER, "nft", "-f", "-", text=(
            "table inet silence { chain output { type filter hook output priority 0;"
            " icmp type destination-unreachable drop; }; }"))
        listener = subprocess.Popen(
            ["ip", "netns", "exec", SERVER, sys.executable, "-c", LISTEN],
            stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        yield tmp_path
    finally:
        if listener is not None:
            listener.kill()
            listener.wait()
        for name in (CLIENT, ROUTER, SERVER):
            sh("ip", "netns", "delete", name)


def helper(folder: Path, command: str, mtu: int = 0) -> str:
    plan = {"virtual_addresses": [VIRTUAL, OTHER], "tunnels": [TUNNEL], "mtu": mtu,
            "gateway": None, "route": "default", "services": []}
    (folder / "plan.json").write_text(json.dumps(plan))
    return within(SERVER, sys.executable, "-c", DRIVER, str(HELPER.parent),
                  str(folder / "plan.json"), str(folder / "run"), command, "mss")


def upload(address: str = VIRTUAL) -> tuple[int, int]:
    """The size of a segment as the client heard it, and how much of a megabyte came."""
    said = within(CLIENT, sys.executable, "-c", UPLOAD, address, good=False).split()
    return int(said[0]), int(said[1]) if len(said) > 1 else 0


def test_a_megabyte_passes_with_the_clamp_and_stops_without(server: Path) -> None:
    assert upload() == (1448, 0), "1500 less the headers and the time stamps: too long for the way"
    helper(server, "apply", mtu=1500)
    assert upload() == (1428, SIZE)
    assert upload(OTHER)[0] == 1448, "an address that no tunnel leads to is left alone"
    assert helper(server, "apply", mtu=1500) == "", "a second run changes nothing"
    helper(server, "apply", mtu=1400)
    assert upload() == (1328, SIZE)
    helper(server, "remove")
    assert within(SERVER, "nft", "list", "ruleset") == ""
    assert upload()[1] == 0
