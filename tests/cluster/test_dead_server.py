# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that the kernel would keep on a dead server, and the two settings by which it does not.

Each story is told with both values of its setting: a test that passes with either shows nothing.
With 0 it tells what the kernel does by itself; that is for `make test-all`.
The role sets 1 (roles/piranha_router/defaults); docs/draining.md has the reasons.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.lvsd_lab import CLIENT, SERVERS, VIP, Lvsd, Web, networks, sh, table

SETTINGS = Path("/proc/sys/net/ipv4/vs")
ALL = {"21": 1, "22": 1}

ECHO = """\
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 53))
print("bound", flush=True)
while True:
    sock.sendto(sys.argv[2].encode(), sock.recvfrom(100)[1])
"""
# From one port again and again, as a resolver does that has one socket.
TALK = """\
import json, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 5353))
sock.settimeout(0.5)
for line in sys.stdin:
    sock.sendto(b"?", (sys.argv[1], 53))
    try:
        print(json.dumps(sock.recv(100).decode()), flush=True)
    except TimeoutError:
        print(json.dumps(None), flush=True)
"""
FETCH = """\
import json, socket, sys
try:
    sock = socket.create_connection((sys.argv[1], 80), 3)
    sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(json.dumps(sock.makefile().read().split()[-1]))
except OSError as error:
    print(json.dumps(None))
"""


class Echo:
    """A UDP server that answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self) -> None:
        words = ["ip", "netns", "exec", f"lvsd-{self.name}", sys.executable, "-c", ECHO]
        self._process = subprocess.Popen(
            [*words, SERVERS[self.name], self.name], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"bound\n"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


class Talker:
    """A client that sends from one port for as long as it lives."""

    def __init__(self) -> None:
        words = ["ip", "netns", "exec", CLIENT, sys.executable, "-c", TALK, VIP]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)

    def ask(self) -> str | None:
        """Send one packet; gives who answered it, None for nobody."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: str | None = json.loads(self._process.stdout.readline())
        return found

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


def fetch() -> str | None:
    """One connection of the client to port 80; gives who answered it, None for nobody."""
    words = ("ip", "netns", "exec", CLIENT, sys.executable, "-c", FETCH, VIP)
    found: str | None = json.loads(sh(*words))
    return found


@contextmanager
def setting(name: str, value: int) -> Iterator[None]:
    path = SETTINGS / name
    before = path.read_text()
    path.write_text(str(value))
    try:
        yield
    finally:
        path.write_text(before)


def until(service: str, wanted: dict[str, int]) -> None:
    deadline = time.monotonic() + 20
    while (now := table(service)) != wanted:
        assert time.monotonic() < deadline, f"the table has {now}, not {wanted}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Web]]:
    with networks():
        made = {name: Web(name, tmp_path_factory.mktemp("web")) for name in SERVERS}
        echoes = [Echo(name) for name in SERVERS]
        servers: list[Web | Echo] = [*made.values(), *echoes]
        for one in servers:
            one.start()
        yield made
        for one in servers:
            one.stop()


@contextmanager
def lvsd(folder: Path, lines: str) -> Iterator[Lvsd]:
    """lvsd with one service; whether a server lives is what its port 80 says."""
    sh("ipvsadm", "-C")
    servers = "".join(
        f"    server {name} {{\n        address = {address}\n        active = 1\n    }}\n"
        for name, address in SERVERS.items()
    )
    config = folder / "lvs.cf"
    config.write_text(
        "service = lvs\nprimary = 203.0.113.1\nnetwork = nat\nnat_router = 192.0.2.254 inside:1\n"
        f"virtual web {{\n    active = 1\n    address = {VIP} outside:1\n    scheduler = rr\n"
        f"    timeout = 1\n    reentry = 1\n    {lines}\n{servers}}}\n"
    )
    made = Lvsd(config, folder)
    try:
        yield made
    finally:
        assert made.stop() == 0


def number(name: str) -> str:
    return SERVERS[name].rpartition(".")[2]


@pytest.mark.parametrize("value", [pytest.param(0, marks=pytest.mark.whole), 1])
def test_a_udp_client_leaves_a_dead_server_with_its_next_packet(
    webs: dict[str, Web], tmp_path: Path, value: int
) -> None:
    lines = "port = 53\n    protocol = udp\n    check = tcp\n    check_port = 80"
    with setting("expire_nodest_conn", value), lvsd(tmp_path, lines):
        until(f"{VIP}:53", ALL)
        talker = Talker()
        try:
            first = talker.ask()
            assert first is not None
            # It stays there: one exchange for the kernel, as long as packets come.
            assert {talker.ask() for _unused in range(4)} == {first}
            (other,) = SERVERS.keys() - {first}
            webs[first].stop()
            until(f"{VIP}:53", {number(other): 1})
            answers = [talker.ask() for _unused in range(3)]
            assert answers == ([other] * 3 if value else [None] * 3)
        finally:
            talker.stop()
            webs[first or "one"].start()


@pytest.mark.parametrize(
    ("quiesce", "value", "reached"),
    [
        pytest.param(0, 0, True, marks=pytest.mark.whole),
        (0, 1, True),
        pytest.param(1, 0, False, marks=pytest.mark.whole),
        (1, 1, True),
    ],
)
def test_a_persistent_client_leaves_a_dead_server_with_its_next_connection(
    webs: dict[str, Web], tmp_path: Path, quiesce: int, value: int, reached: bool
) -> None:
    """With quiesce_server the dead one stays in the table with weight 0, and keeps its clients."""
    lines = f"port = 80\n    persistent = 300\n    quiesce_server = {quiesce}"
    with setting("expire_quiescent_template", value), lvsd(tmp_path, lines):
        until(f"{VIP}:80", ALL)
        first = fetch()
        assert first is not None
        assert {fetch() for _unused in range(3)} == {first}
        (other,) = SERVERS.keys() - {first}
        try:
            webs[first].stop()
            left = {number(other): 1}
            until(f"{VIP}:80", {**left, number(first): 0} if quiesce else left)
            assert {fetch() for _unused in range(2)} == ({other} if reached else {None})
        finally:
            webs[first].start()
