# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client, a router and two real servers in network namespaces of this kernel, with HTTP.

    client 203.0.113.100 --- public --- router .11, virtual address .10 --- private --- rs1, rs2
                                \\------------- rs1, rs2 (answers by direct routing and tunnel)

In IPv6 all is alike: 2001:db8:1::/64 is public, 2001:db8:9::/64 private, the last parts are the
same. Real servers send what they answer as themselves through the router, and what they answer as
the virtual address straight to the client. Nothing is offloaded, so that every packet on the wire
is one that a wire could carry. All of it runs in this process: a socket stays in the namespace in
which it was made. What must come of it is in test_module_forwarding.py.
"""

from __future__ import annotations

import ctypes
import hashlib
import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLONE_NEWNET = 0x40000000
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2  # linux/in.h: DF on every packet

PORT = 80
VIRTUAL, VIRTUAL6 = "203.0.113.10", "2001:db8:1::10"
SERVERS = {"rs1": "10.9.0.21", "rs2": "10.9.0.22"}
SERVERS6 = {"rs1": "2001:db8:9::21", "rs2": "2001:db8:9::22"}
ROUTER, ROUTER6 = "10.9.0.11", "2001:db8:9::11"
HOSTS = ("client", "router", *SERVERS)
LARGE = 1024 * 1024
PATIENCE = 20.0  # seconds for one request

_LINKS = {
    "client": ("public",),
    "router": ("public", "private"),
    "rs1": ("public", "private"),
    "rs2": ("public", "private"),
}


def _run(*argv: str, text: str | None = None) -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"


@contextmanager
def inside(host: str) -> Iterator[None]:
    """This thread is on that host."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    away = os.open(f"/run/netns/{host}", os.O_RDONLY)
    try:
        assert libc.setns(away, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(home)
        os.close(away)


def _wires() -> str:
    lines = []
    for network in ("public", "private"):
        lines += [f"link add {network} type bridge", f"link set {network} up"]
    for host, networks in _LINKS.items():
        for network in networks:
            port = f"{host}-{network[:4]}"
            lines.append(f"link add {port} type veth peer name {network} netns {host}")
            lines.append(f"link set {port} master {network} up")
    return "\n".join(lines)


def _addresses(host: str) -> list[str]:
    if host == "client":
        return [
            "address add 203.0.113.100/24 dev public",
            "address add 2001:db8:1::100/64 dev public nodad",
        ]
    if host == "router":
        return [
            "address add 203.0.113.11/24 dev public",
            f"address add {VIRTUAL}/32 dev public",
            f"address add {ROUTER}/24 dev private",
            "address add 2001:db8:1::11/64 dev public nodad",
            f"address add {VIRTUAL6}/128 dev public nodad",
            f"address add {ROUTER6}/64 dev private nodad",
        ]
    return [
        f"address add {SERVERS[host]}/24 dev private",
        f"address add 203.0.113.{SERVERS[host][-2:]}/32 dev public",
        f"route add default via {ROUTER}",
        f"address add {VIRTUAL}/32 dev lo",
        "route add 203.0.113.0/24 dev public table 100",
        f"rule add from {VIRTUAL} lookup 100",
        "link set tunl0 up",
        f"address add {SERVERS6[host]}/64 dev private nodad",
        f"address add {VIRTUAL6}/128 dev lo nodad",
        "link set ip6tnl0 up",
    ]


def _routes6(host: str) -> list[str]:
    if host not in SERVERS:
        return []
    return [
        f"route add default via {ROUTER6}",
        "route add 2001:db8:1::/64 dev public table 100",
        f"rule add from {VIRTUAL6} lookup 100",
    ]


_SETTINGS = {
    "client": {},
    "router": {
        "net/ipv4/ip_forward": "1",
        "net/ipv4/conf/all/send_redirects": "0",
        "net/ipv6/conf/all/forwarding": "1",
    },
    "rs1": {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"},
    "rs2": {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"},
}


class Network:
    """All hosts, with an HTTP server on each real server."""

    def __init__(self) -> None:
        self._servers: list[ThreadingHTTPServer] = []

    def up(self) -> None:
        """Make it; the real servers answer afterwards."""
        _run("modprobe", "-a", "ipip", "ip6_tunnel")  # gives every namespace tunl0 and ip6tnl0
        for name in ("switch", *HOSTS):
            _run("ip", "netns", "add", name)
        _run("ip", "-n", "switch", "-batch", "-", text=_wires())
        for host in HOSTS:
            lines = ["link set lo up", *(f"link set {name} up" for name in _LINKS[host])]
            _run("ip", "-n", host, "-batch", "-", text="\n".join([*lines, *_addresses(host)]))
            _run("ip", "-6", "-n", host, "-batch", "-", text="\n".join(_routes6(host)))
            with inside(host):
                for name in _LINKS[host]:
                    off = ("tso", "off", "gso", "off", "gro", "off")
                    _run("ethtool", "-K", name, *off)
                for path, value in _SETTINGS[host].items():
                    Path("/proc/sys", path).write_text(value, encoding="ascii")
        for host in SERVERS:
            self._serve(host)

    def down(self) -> None:
        """Leave nothing of it."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for name in ("switch", *HOSTS):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=60)

    def _serve(self, host: str) -> None:
        with inside(host):
            server = _Server(("::", PORT), _Answers, bind_and_activate=False)
            server.daemon_threads = True
            server.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            server.server_name, server.server_port = host, PORT  # which it would look up itself
            server.socket.bind(("::", PORT))
            server.server_activate()
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind(("", PORT))
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        threading.Thread(target=_echo, args=(datagrams, host), daemon=True).start()
        self._servers.append(server)


class _Server(ThreadingHTTPServer):
    """For both families."""

    address_family = socket.AF_INET6


def _echo(datagrams: socket.socket, host: str) -> None:
    while True:
        _asked, client = datagrams.recvfrom(100)
        datagrams.sendto(host.encode(), client)


class _Answers(BaseHTTPRequestHandler):
    """Who it is, a large body, or what it has received of one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        large = self.path == "/large"
        self._answer(bytes(LARGE) if large else b"small")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(hashlib.sha256(body).hexdigest().encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        # The server's own name; with direct routing its address is the virtual one.
        self.send_header("X-Real-Server", self.server.server_name)  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest's output is not the place for it."""


class Client:
    """One connection to the virtual service, from the client; every packet has DF set."""

    def __init__(self, virtual: str = VIRTUAL) -> None:
        six = ":" in virtual  # where no packet may be cut on its way, with or without such a flag
        with inside("client"):
            connected = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
        if not six:
            connected.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        connected.settimeout(PATIENCE)
        connected.connect((virtual, PORT))
        self._connection = http.client.HTTPConnection(virtual, PORT)
        self._connection.sock = connected

    def get(self, path: str = "/") -> tuple[str, bytes]:
        """The name of the real server that answered, and the body."""
        self._connection.request("GET", path)
        return self._read()

    def post(self, body: bytes) -> tuple[str, bytes]:
        """The same, for a body that is sent."""
        self._connection.request("POST", "/", body)
        return self._read()

    def _read(self) -> tuple[str, bytes]:
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200
        return str(answer.headers["X-Real-Server"]), body

    def close(self) -> None:
        """Say goodbye."""
        self._connection.close()


def asked(times: int, virtual: str = VIRTUAL) -> list[str]:
    """Who answers, each time on a new connection."""
    names = []
    for _time in range(times):
        client = Client(virtual)
        names.append(client.get()[0])
        client.close()
    return names


def datagram() -> str:
    """Who answers to a datagram, from a new port."""
    with inside("client"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(b"who", (VIRTUAL, PORT))
        return client.recv(100).decode()
