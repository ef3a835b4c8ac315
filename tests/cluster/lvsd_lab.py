# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router, two web servers and a client in network namespaces, for the tests of lvsd alone.

The test process itself moves into the router's namespace, so that lvsd, forked from it, and
ipvsadm see the router's IPVS table. It only sets up and looks; it judges nothing.

    client 203.0.113.10 --- 203.0.113.1 router 192.0.2.254 --- 192.0.2.21 one, 192.0.2.22 two
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from piranha.lvsd import child
from piranha.pulse import warm

ROUTER, CLIENT = "lvsd-router", "lvsd-client"
SERVERS = {"one": "192.0.2.21", "two": "192.0.2.22"}
VIP = "203.0.113.100"
TRAFFIC = Path(__file__).with_name("traffic.py")
CLONE_NEWNET = 0x40000000  # linux/sched.h

Weights = dict[str, int]
"""Last number of a real server's address -> its weight in the table."""


def sh(*words: str) -> str:
    """Run a command that must work; gives what it prints."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def enter(namespace: str | int) -> None:
    """Move this process into a network namespace, by name or descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = (
        os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
        if isinstance(namespace, str)
        else namespace
    )
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    if isinstance(namespace, str):
        os.close(descriptor)


@contextmanager
def networks() -> Iterator[None]:
    """Make the namespaces and be in the router's; take them away at the end."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    names = [ROUTER, CLIENT, *(f"lvsd-{name}" for name in SERVERS)]
    try:
        for name in names:
            sh("ip", "netns", "add", name)
        enter(ROUTER)
        _batch(
            ROUTER,
            "link set lo up",
            "link add inside type bridge",
            "addr add 192.0.2.254/24 dev inside",
            "link set inside up",
            f"link add outside type veth peer name eth0 netns {CLIENT}",
            "link set outside up",
            "addr add 203.0.113.1/24 dev outside",
            f"addr add {VIP}/24 dev outside",
            *(
                line
                for name in SERVERS
                for line in (
                    f"link add to-{name} type veth peer name eth0 netns lvsd-{name}",
                    f"link set to-{name} up master inside",
                )
            ),
        )
        _host(CLIENT, "203.0.113.10/24", "203.0.113.1")
        for name, address in SERVERS.items():
            _host(f"lvsd-{name}", f"{address}/24", "192.0.2.254")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        yield
    finally:
        enter(own)
        os.close(own)
        for name in names:
            subprocess.run(
                ["ip", "netns", "del", name], capture_output=True, timeout=30, check=False
            )


def _host(namespace: str, address: str, gateway: str) -> None:
    _batch(
        namespace,
        "link set lo up",
        f"addr add {address} dev eth0",
        "link set eth0 up",
        f"route add default via {gateway}",
    )


def _batch(namespace: str, *lines: str) -> None:
    """Run several ip commands with one process: starting one is what costs in user-mode Linux."""
    done = subprocess.run(
        ["ip", "-n", namespace, "-batch", "-"],
        input="\n".join(lines) + "\n",
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, (lines, done.stderr)


class Web:
    """One real server: busybox httpd that answers with its name."""

    def __init__(self, name: str, folder: Path, port: int = 80) -> None:
        self.name, self._port = name, port
        self._folder = folder / name
        self._folder.mkdir()
        (self._folder / "index.html").write_text(f"{name}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["ip", "netns", "exec", f"lvsd-{self.name}", "busybox", "httpd", "-f", "-p"]
        words += [f"{SERVERS[self.name]}:{self._port}", "-h", str(self._folder)]
        self._process = subprocess.Popen(words)

    def stop(self) -> None:
        """Kill it: its port refuses from then on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Let its kernel take connections that nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def unplug(self) -> None:
        sh("ip", "link", "set", f"to-{self.name}", "down")

    def plug(self) -> None:
        sh("ip", "link", "set", f"to-{self.name}", "up")


def table(service: str = f"{VIP}:80") -> Weights | None:
    """Read one service of the table from ipvsadm; None where it is not there."""
    found: Weights | None = None
    for line in sh("ipvsadm", "-Sn").splitlines():
        words = line.split()
        if words[2] != service:
            continue
        if words[0] == "-A":
            found = {}
        elif words[0] == "-a" and found is not None:
            address = words[words.index("-r") + 1].partition(":")[0]
            found[address.rpartition(".")[2]] = int(words[words.index("-w") + 1])
    return found


def until(wanted: Weights | None, limit: float = 20.0) -> None:
    """Wait until ipvsadm shows these servers."""
    deadline = time.monotonic() + limit
    while (now := table()) != wanted:
        assert time.monotonic() < deadline, f"the table has {now}, not {wanted}"
        time.sleep(0.05)


class Sampler:
    """Looks at the table every few milliseconds, in the kernel's own words (/proc/net/ip_vs)."""

    def __init__(self, pause: float = 0.01) -> None:
        self.samples: list[tuple[float, frozenset[str]]] = []
        self._pause = pause
        self._stop = threading.Event()
        # Of this thread's namespace: the threads of a process are in the one they began in.
        self._path = Path(f"/proc/{os.getpid()}/net/ip_vs")
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            text = self._path.read_text()
            lines = [line.split() for line in text.splitlines() if line.startswith("  -> ")]
            servers = frozenset(words[1] for words in lines if ":" in words[1] and words[3] != "0")
            self.samples.append((time.monotonic(), servers))
            time.sleep(self._pause)

    def wait(self, wanted: Callable[[frozenset[str]], bool], after: float) -> float:
        """Wait for a sample that is as wanted; gives the seconds from `after` to it."""
        for _unused in range(2000):
            for at, now in self.samples:
                if at >= after and wanted(now):
                    return at - after
            time.sleep(self._pause)
        raise AssertionError(f"the table still has {self.samples[-1:]}")


def hexadecimal(name: str) -> str:
    """A real server as /proc/net/ip_vs writes it: C0000215:0050."""
    numbers = [int(part) for part in SERVERS[name].split(".")]
    return "".join(f"{number:02X}" for number in numbers) + ":0050"


class Lvsd:
    """lvsd as pulse would run it; what it says is gathered when asked for."""

    def __init__(self, config: Path, run_dir: Path) -> None:
        self._config, self._run_dir = config, run_dir
        self.messages: list[dict[str, Any]] = []
        self._asked = 0
        self.start()

    def start(self) -> None:
        self._process = warm.spawn(
            "lvsd", lambda sock: child.run(sock, self._config, self._run_dir)
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def listen(self) -> None:
        while messages := self._process.link.receive():
            self.messages += messages

    def texts(self, part: str) -> list[str]:
        """Texts of all events that hold `part`."""
        self.listen()
        texts = [message["event"]["text"] for message in self.messages if "event" in message]
        return [text for text in texts if part in text]

    def state(self) -> dict[str, Any]:
        """The last snapshot."""
        self.listen()
        states: list[dict[str, Any]] = [m["state"] for m in self.messages if "state" in m]
        return states[-1]

    def servers(self) -> dict[str, dict[str, Any]]:
        """What the status says of each real server of the first service, by name."""
        text = self.ask("services", start=0)["result"]["text"]
        return {server["name"]: server for server in json.loads(f"[{text}]")[0]["servers"]}

    def send(self, do: str, **arguments: object) -> None:
        """Ask without waiting for an answer."""
        self._asked += 1
        self._process.link.send({"ask": self._asked, "do": do, "with": arguments})

    def ask(self, do: str, limit: float = 10.0, **arguments: object) -> dict[str, Any]:
        self.send(do, **arguments)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            self.listen()
            for message in self.messages:
                if message.get("answer") == self._asked:
                    return message
            time.sleep(0.02)
        raise AssertionError(f"no answer to {do}")

    def stop(self, limit: float = 10.0) -> int | None:
        """End it as pulse does; gives its exit status, None where it had to be killed."""
        if (status := self._process.poll()) is not None:
            return status
        self._process.link.send({"ask": 0, "do": "stop"})
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            self.listen()
            if (status := self._process.poll()) is not None:
                return status
            time.sleep(0.02)
        self.kill()
        return None


HOLD = """\
import socket, sys
sock = socket.create_connection((sys.argv[1], 80), 10)
sock.sendall(b"GET / HTTP/1.0\\r\\n")
print("open", flush=True)
sys.stdin.readline()
sock.sendall(b"\\r\\n")
print(sock.makefile().read().split()[-1], flush=True)
"""


class Held:
    """A connection to the virtual address that is in the middle of its request."""

    def __init__(self) -> None:
        words = ["ip", "netns", "exec", CLIENT, sys.executable, "-c", HOLD, VIP]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n"

    @staticmethod
    def server() -> str:
        """Name of the real server that has it, as ipvsadm tells."""
        lines = sh("ipvsadm", "-Lcn").splitlines()
        (found,) = [line.split() for line in lines if "ESTABLISHED" in line]
        address = found[-1].partition(":")[0]
        return next(name for name, known in SERVERS.items() if known == address)

    def finish(self) -> str:
        """Send the rest; gives the name that the server answers with."""
        answer, _unused = self._process.communicate("\n", 20)
        return answer.strip()


NO_SERVER, STANDSTILL = 3.0, 10.0
"""Seconds after which a request has failed. The longer one is for tests in which none may fail: on
a busy machine this kernel gets no processor for two or three seconds on end, and then requests
that go to a real server directly fail by the shorter one too (4 of 702 and 1 of 678 beside 16 of
1,612 through the virtual address, at the same moments, at a load of 10). What lvsd can do wrong is
refused at once, or never answered."""


@contextmanager
def client(folder: Path, limit: float = NO_SERVER) -> Iterator[dict[str, Any]]:
    """Ask the virtual address for a page while the block runs, and for a second more.

    The dict has the result after the end. The first request begins before the block does.
    """
    target = folder / "traffic.json"
    words = ["ip", "netns", "exec", CLIENT, sys.executable, str(TRAFFIC), f"http://{VIP}/"]
    words += ["--limit", str(limit), "--json", str(target)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    result: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"asking")
        yield result
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        result.update(json.loads(target.read_text()))
    finally:
        process.kill()
        process.communicate()
