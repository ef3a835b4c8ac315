# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hearts in network namespaces of their own, and a client that pings the virtual address.

The test's process plays pulse: it forks the hearts and talks to them through the link. No IPVS
is needed, so this runs on any Linux as root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TextIO, TypeVar

from piranha.control.link import Link
from piranha.net.rtnetlink import Held, Netlink
from piranha.pulse import heart, reading
from piranha.pulse.resign import resign

from tests.cluster.cluster import standing

VIRTUAL, VIRTUAL6, GATEWAY = "192.0.2.100", "2001:db8::100", "198.51.100.1"
ALL = {VIRTUAL, VIRTUAL6, GATEWAY}
PUBLIC = ("192.0.2.11", "192.0.2.12")
PRIVATE = ("198.51.100.11", "198.51.100.12")
THIRD = ("2001:db8:3::11", "2001:db8:3::12")
CABLES = "abc"
"""Of each router: to the public network, the private one, and a third for heartbeats only."""
KEEPALIVE, DEADTIME = 0.5, 1.5
GOOD_KEY = bytes(range(32)).hex()
OTHER_KEY = bytes(range(1, 33)).hex()
CLONE_NEWNET = 0x40000000

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


KEY_FILE = Path("/proc/self/cwd/heartbeat.key")
"""Each heart's own, by the same name, so that both have the very same configuration."""


def config(**changes: object) -> str:
    """Give the text of a configuration; `extra` is put at its end."""
    values: dict[str, object] = {
        "primary": PUBLIC[0],
        "primary_private": PRIVATE[0],
        "backup": PUBLIC[1],
        "backup_private": PRIVATE[1],
        "backup_active": 1,
        "heartbeat_key_file": KEY_FILE,
        "keepalive": KEEPALIVE,
        "deadtime": DEADTIME,
        "network": "nat",
        "nat_router": f"{GATEWAY} eth1:1",
    }
    extra = str(changes.pop("extra", ""))
    values.update(changes)
    lines = [f"{key} = {value}" for key, value in values.items()]
    for number, address in enumerate((VIRTUAL, VIRTUAL6)):
        lines += [f"virtual v{number} {{", "active = 1", f"address = {address} eth0:1", "}"]
    return "\n".join(lines) + "\n" + extra


def ip(*words: str, text: str | None = None) -> None:
    """Run ip(8), with `text` as its input."""
    argv = ["ip", *words]
    subprocess.run(argv, check=True, timeout=20, capture_output=True, text=True, input=text)


def floating(entry: Held) -> bool:
    """Whether this is an address that a heart has set: no other here stands alone."""
    return entry.prefix == entry.address.max_prefixlen


def inside(namespace: str, make: Callable[[], T]) -> T:
    """Call something, mostly one that opens a socket, in another network namespace."""
    with Path("/proc/self/ns/net").open() as home, namespace_file(namespace) as there:
        setns(there.fileno())
        try:
            return make()
        finally:
            setns(home.fileno())


def namespace_file(name: str) -> TextIO:
    """Open what stands for a network namespace."""
    return Path("/run/netns", name).open(encoding="ascii")


def setns(number: int) -> None:
    if _libc.setns(number, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@dataclass
class Net:
    """Two routers and a client on one switch, the routers on two others as well."""

    tag: str = field(default_factory=lambda: f"hb{os.getpid()}")
    _cut: list[bool] = field(default_factory=lambda: [False, False])

    @property
    def routers(self) -> tuple[str, str]:
        return f"{self.tag}-r0", f"{self.tag}-r1"

    @property
    def client(self) -> str:
        return f"{self.tag}-cl"

    @property
    def switch(self) -> str:
        return f"{self.tag}-sw"

    def up(self) -> None:
        for name in (self.switch, self.client, *self.routers):
            ip("netns", "add", name)
        lines = []
        for bridge in ("public", "private", "third"):
            lines += [f"link add {bridge} type bridge", f"link set {bridge} up"]
        cables = [(self.client, "cl", "public", "eth0", ["192.0.2.50/24", "2001:db8::50/64"])]
        for number, name in enumerate(self.routers):
            public = [f"{PUBLIC[number]}/24", f"2001:db8::{number + 1}/64"]
            cables.append((name, f"r{number}a", "public", "eth0", public))
            cables.append((name, f"r{number}b", "private", "eth1", [f"{PRIVATE[number]}/24"]))
            cables.append((name, f"r{number}c", "third", "eth2", [f"{THIRD[number]}/64"]))
        for name, port, bridge, device, _unused in cables:
            lines.append(f"link add {port} type veth peer name {device} netns {name}")
            lines.append(f"link set {port} master {bridge} up")
        ip("-n", self.switch, "-batch", "-", text="\n".join(lines))
        for name, _port, _bridge, device, addresses in cables:
            lines = ["link set lo up", f"link set {device} up"]
            for address in addresses:
                nodad = "nodad" if ":" in address else ""
                lines.append(f"address add {address} dev {device} {nodad}")
            ip("-n", name, "-batch", "-", text="\n".join(lines))

    def mend(self) -> None:
        """Make the network as it was: cables whole, floating addresses gone."""
        if any(self._cut):
            lines = [f"link set r{n}{path} up" for n in (0, 1) for path in CABLES]
            ip("-n", self.switch, "-batch", "-", text="\n".join(lines))
            self._cut = [False, False]
        keep = {ip_address(address) for address in (*PUBLIC, *PRIVATE, *THIRD)}
        for name in self.routers:
            with contextlib.closing(inside(name, Netlink)) as netlink:
                lo = next(i.index for i in netlink.interfaces() if i.name == "lo")
                netlink.remove(
                    [
                        entry
                        for entry in netlink.addresses()
                        if entry.index != lo and entry.address not in keep and floating(entry)
                    ]
                )

    def cut(self, number: int, up: bool = False, paths: str = CABLES) -> None:
        """Cut cables of a router, or mend them."""
        self._cut[number] |= not up
        for path in paths:
            port = f"r{number}{path}"
            ip("-n", self.switch, "link", "set", port, "up" if up else "down")

    def down(self) -> None:
        for name in (self.switch, self.client, *self.routers):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Heart:
    """A heart in a child of ours, as pulse would run it."""

    def __init__(self, namespace: str, folder: Path, text: str | None, key: str = GOOD_KEY) -> None:
        self.namespace, self.folder = namespace, folder
        self.run_dir = folder / "run"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.key_file = folder / "heartbeat.key"
        self.key_file.write_text(key)
        self.key_file.chmod(0o600)
        self.config = folder / "lvs.cf"
        self.config.write_text(text if text is not None else config())
        self.pid = 0
        self.state: dict[str, Any] = {}
        self.events: list[str] = []
        self.ticks: list[float] = []
        self.answers: dict[int, dict[str, Any]] = {}
        self.status: int | None = None
        self._asked = 0
        self.kernel = inside(namespace, Netlink)

    def start(self, force: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self.state, self.status = {}, None
        reading.load(self.config.read_text() if self.config.exists() else "")  # as pulse does
        self.pid = os.fork()
        if self.pid == 0:
            status = 99
            try:
                # The other heart's link must not be kept open by this one.
                os.closerange(3, theirs.fileno())
                os.closerange(theirs.fileno() + 1, 1024)
                os.chdir(self.folder)
                with namespace_file(self.namespace) as there:
                    setns(there.fileno())
                status = heart.run(theirs, self.config, self.run_dir, force)
            finally:
                os._exit(status)
        theirs.close()
        self.link = Link(ours)

    def hear(self, limit: float = 0.0) -> None:
        """Take in what the heart says; wait for it up to `limit` seconds."""
        if self.link.fileno() < 0 or not select.select([self.link], [], [], limit)[0]:
            return
        for message in self.link.receive():
            if "state" in message:
                self.state = message["state"]
            if "event" in message:
                self.events.append(message["event"]["text"])
            if "tick" in message:
                self.ticks.append(message["tick"])
            if "answer" in message:
                self.answers[message["answer"]] = message

    def until(self, what: Callable[[], object], limit: float = 10.0) -> float:
        """Wait until something is true; gives the seconds it took."""
        begin = time.monotonic()
        while not what():
            passed = time.monotonic() - begin
            assert passed < limit, f"{self.namespace}: {self.state} {self.events}"
            self.hear(0.001)
        return time.monotonic() - begin

    def ask(self, do: str) -> dict[str, Any]:
        self._asked += 1
        self.link.send({"ask": self._asked, "do": do})
        self.until(lambda: self._asked in self.answers)
        return self.answers[self._asked]

    def is_(self, state: str) -> bool:
        return self.state.get("state") == state

    def holds(self) -> set[str]:
        """Give the floating addresses that the kernel has, whatever the heart says."""
        held = {str(entry.address) for entry in self.kernel.addresses()}
        return held & ALL

    def resign(self) -> int:
        """What pulse does in a process of its own for a heart that it has ended."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return inside(self.namespace, lambda: resign(self.config, self.run_dir))
        finally:
            os.chdir(before)

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.reap()

    def reap(self, limit: float = 5.0) -> int:
        end = time.monotonic() + limit
        while self.status is None and self.pid:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.status = os.waitstatus_to_exitcode(status)
                self.pid = 0
            elif time.monotonic() > end:
                raise AssertionError(f"the heart of {self.namespace} does not end")
            else:
                self.hear(0.002)
        assert self.status is not None
        return self.status

    def close(self) -> None:
        if self.pid:
            self.kill()
        with contextlib.suppress(AttributeError):
            self.link.close()
        self.kernel.close()


class Pings:
    """Pings an address every 5 ms from the client, and knows when no answer came."""

    def __init__(self, namespace: str, address: str = VIRTUAL) -> None:
        kind = (socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        self._socket = inside(namespace, lambda: socket.socket(*kind))
        self._address = address
        self._sent: list[float] = []
        self._answered: set[int] = set()
        self._end = threading.Event()

    def __enter__(self) -> Pings:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._end.set()
        self._thread.join(5)
        self._socket.close()

    def _run(self) -> None:
        while not self._end.wait(0.005):
            body = struct.pack("!BBHHH", 8, 0, 0, 0x4242, len(self._sent))
            total = sum(struct.unpack("!4H", body))
            total = (total & 0xFFFF) + (total >> 16)
            body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
            self._sent.append(time.monotonic())
            with contextlib.suppress(OSError):
                self._socket.sendto(body, (self._address, 0))
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet = self._socket.recv(200)
                    if packet[20] == 0:  # an answer
                        self._answered.add(struct.unpack("!H", packet[26:28])[0])

    def gap(self, since: float) -> float:
        """Give the longest time in which no ping was answered, from just before `since` on.

        From a ping without answer to the next with one: what this test did not send, because
        the machine was busy, is no gap. The last pings may still be on their way.
        """
        longest, lost = 0.0, None
        for number, when in enumerate(self._sent[:-20]):
            if when < since - 0.3 or number in self._answered:
                if lost is not None:
                    longest = max(longest, when - lost)
                lost = None
            elif lost is None:
                lost = when
        return longest if lost is None else 999.0


def settle(active: Heart, standby: Heart) -> None:
    """Wait until one is active, the other standby, and both say so of each other."""
    active.until(lambda: active.is_("active") and peer(active) == "standby")
    standby.until(lambda: standby.is_("standby") and peer(standby) == "active")
    assert active.holds() == ALL
    assert standby.holds() == set()


def peer(heart: Heart) -> str:
    """Give what a heart says of its partner."""
    return str((heart.state.get("peer") or {}).get("state"))


def pause(seconds: float, *hearts: Heart) -> None:
    """Let time pass, and hear what hearts say meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in hearts:
            one.hear(0.01)


def network() -> contextlib.AbstractContextManager[Net]:
    """Give the network, and remove it."""
    return standing(Net())


@contextlib.contextmanager
def two_hearts(net: Net, folder: Path) -> Iterator[tuple[Heart, Heart]]:
    """Give two hearts that are not started yet; ends them and leaves the network as it was."""
    hearts: list[Heart] = []
    try:
        hearts += [Heart(name, folder / name, None) for name in net.routers]
        yield hearts[0], hearts[1]
    finally:
        for one in hearts:
            one.close()
        net.mend()
