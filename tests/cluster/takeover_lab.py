# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole agents or keepaliveds on two routers, without IPVS, and a client that always connects.

It starts, stops and kills, and tells what the client saw. What is judged is for the benchmark of
takeovers and for test_patience.py.
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
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "files/piranha-agent/src"
sys.path.insert(0, str(SOURCES))

from piranha.control.client import Client, Refused, Unreachable  # noqa: E402 - path first

from tests.cluster.cluster import family  # noqa: E402 - the path must be set first
from tests.cluster.heart_lab import (  # noqa: E402 - the path must be set first
    CABLES,
    PRIVATE,
    PUBLIC,
    VIRTUAL,
    Net,
    inside,
    ip,
    namespace_file,
)

PORT = 8080
EVERY = 0.005
"""Seconds between two connections of the client."""
PATIENCE = 0.8
"""Seconds after which a connection counts as lost; its SYN is sent again after one."""
SETTLE = 90.0
"""Seconds that an agent or two may take until they are as they shall be, in a slow kernel."""
FIRST_OF_MANY = ("10.77.0", 1)


def addresses(count: int) -> list[str]:
    """Give that many virtual addresses, the one that the client asks first."""
    prefix, start = FIRST_OF_MANY
    return [VIRTUAL, *(f"{prefix}.{start + number}" for number in range(count - 1))]


class Connections(threading.Thread):
    """Connects to the virtual address all the time, and is its server on both routers.

    every: seconds between two connections.
    """

    def __init__(self, net: Net, every: float = EVERY) -> None:
        super().__init__(daemon=True)
        self._every = every
        self._net = net
        self._end = threading.Event()
        self._listeners = [inside(name, _listener) for name in net.routers]
        self._tries: list[float] = []
        self._answered: set[float] = set()

    def __enter__(self) -> Connections:
        self.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._end.set()
        self.join(5)
        for one in self._listeners:
            one.close()

    def run(self) -> None:
        """Ask and answer until the end, in the client's network namespace."""
        with namespace_file(self._net.client) as there:
            # Of this thread only: sockets are made where their thread is.
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        poll = select.epoll()
        servers = {one.fileno(): one for one in self._listeners}
        for number in servers:
            poll.register(number, select.EPOLLIN)
        asked: dict[int, tuple[socket.socket, float]] = {}
        due = time.monotonic()
        while not self._end.is_set():
            for number, _event in poll.poll(max(0.0, due - time.monotonic())):
                if number in servers:
                    _serve(servers[number])
                elif number in asked:
                    one, begun = asked.pop(number)
                    if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        self._answered.add(begun)
                    poll.unregister(number)
                    one.close()
            now = time.monotonic()
            for number, (one, begun) in list(asked.items()):
                if now - begun > PATIENCE:
                    del asked[number]
                    poll.unregister(number)
                    one.close()
            if now >= due:
                due = max(due + self._every, now)
                one = _asker()
                self._tries.append(now)
                asked[one.fileno()] = (one, now)
                poll.register(one.fileno(), select.EPOLLOUT)

    def answers(self) -> list[float]:
        """Give when the connections were begun that came about."""
        return sorted(self._answered.copy())

    def gap(self, since: float) -> tuple[float, float]:
        """Give the longest time without a connection from `since` on, and when it was over.

        From the last try that was answered to the next one, 0 where none was in vain.
        """
        longest, over, lost = 0.0, since, False
        settled = time.monotonic() - PATIENCE
        answered = self._answered.copy()
        before = since
        for begun in self._tries.copy():
            if begun > settled:
                break
            if begun not in answered:
                lost |= begun >= since - self._every
                continue
            if lost and begun - before > longest:
                longest, over = begun - before, begun
            before, lost = begun, False
        return (999.0, settled) if lost else (longest, over)


def _listener() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("0.0.0.0", PORT))
    made.listen(256)
    return made


def _asker() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # Closed by a reset: no port waits for two minutes afterwards.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.connect_ex((VIRTUAL, PORT))
    return made


def _serve(listener: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
        while True:
            listener.accept()[0].close()


class Switch:
    """Cuts and mends all cables of a router at once, without starting a program."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._socket = inside(
            net.switch, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        )
        self._ports = {
            number: inside(
                net.switch,
                lambda n=number: [socket.if_nametoindex(f"r{n}{path}") for path in CABLES],  # type: ignore[misc]
            )
            for number in (0, 1)
        }

    def set(self, number: int, up: bool) -> None:
        """Cut the cables of a router, or mend them."""
        body = b""
        for sequence, index in enumerate(self._ports[number]):
            link = struct.pack("=BxHiII", 0, 0, index, int(up), 1)
            body += struct.pack("=IHHII", 16 + len(link), 16, 1, sequence, 0) + link
        self._socket.send(body)


class Router:
    """One machine, with an agent or with keepalived. `number`: 0 or 1."""

    program = ""

    def __init__(self, net: Net, switch: Switch, number: int, folder: Path) -> None:
        self.net, self.switch, self.number = net, switch, number
        self.namespace = net.routers[number]
        self.folder = folder / f"{self.program}{number}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *argv: str, env: dict[str, str] | None = None) -> None:
        """Start the program in the router's namespace."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *argv], env=env, stderr=log, stdout=log
            )

    def configure(self, interval: float, count: int) -> None:
        """Write the configuration: seconds between heartbeats, number of addresses."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it."""
        raise NotImplementedError

    def ready(self, active: bool) -> bool:
        """Whether it is active, or whether it stands by and knows of the other."""
        raise NotImplementedError

    def holds(self) -> bool:
        """Whether the kernel has the address."""
        argv = ["ip", "-n", self.namespace, "-br", "address", "show", "to", f"{VIRTUAL}/32"]
        return bool(subprocess.run(argv, check=True, capture_output=True, timeout=20).stdout)

    def die(self) -> float:
        """Lose power: cables and processes at once. Gives the moment."""
        assert self.process is not None
        pids = list(family(self.process.pid))
        moment = time.monotonic()
        self.switch.set(self.number, up=False)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        return moment

    def stop(self) -> float:
        """Stop it properly. Gives the moment."""
        assert self.process is not None
        moment = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return moment

    def boot(self) -> None:
        """Start it on a machine that has forgotten everything."""
        if self.process is not None:
            self.process.wait(20)
        argv = ["ip", "-n", self.namespace, "address", "flush", "dev", "eth0", "to"]
        for network in (f"{VIRTUAL}/32", f"{FIRST_OF_MANY[0]}.0/24"):
            subprocess.run([*argv, network], check=False, capture_output=True, timeout=20)
        self.switch.set(self.number, up=True)
        self.start()

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process is not None:
            self.die()
            self.switch.set(self.number, up=True)


class Agent(Router):
    """The whole agent: pulse, heart and lvsd."""

    program = "piranha"

    def configure(self, interval: float, count: int) -> None:
        """See Router."""
        key = self.folder.parent / "heartbeat.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(os.urandom(32).hex() + "\n", encoding="ascii")
        lines = [
            f"primary = {PUBLIC[0]}",
            f"backup = {PUBLIC[1]}",
            f"primary_private = {PRIVATE[0]}",
            f"backup_private = {PRIVATE[1]}",
            "backup_active = 1",
            f"heartbeat_key_file = {key}",
            f"keepalive = {interval:g}",
            f"deadtime = {3 * interval:g}",
        ]
        for number, address in enumerate(addresses(count)):
            lines += [f"virtual v{number} {{", "active = 1", f"address = {address} eth0", "}"]
        (self.folder / "lvs.cf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> None:
        """See Router."""
        run_dir = self.folder / "run"
        run_dir.mkdir(exist_ok=True)
        for path in run_dir.iterdir():
            path.unlink()
        words = ["-m", "piranha", "pulse", "--config", str(self.folder / "lvs.cf")]
        self.run(sys.executable, *words, "--run-dir", str(run_dir), env=self.env())

    def env(self) -> dict[str, str]:
        """Give the environment that its programs run in."""
        env = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONPYCACHEPREFIX": str(self.folder)}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, as on a router
        return env

    def ask(self, what: str) -> dict[str, Any]:
        """Ask the running pulse; gives nothing while it cannot be asked."""
        try:
            with Client(self.folder / "run" / "control.sock", 5) as client:
                return client.ask(what)
        except (Unreachable, Refused):
            return {}

    def ready(self, active: bool) -> bool:
        """See Router."""
        status = self.ask("status")
        heart = status.get("heart") or {}
        peer = (heart.get("peer") or {}).get("state")
        if not (status.get("pulse") or {}).get("understudies"):
            return False
        wanted = ("active", "standby") if active else ("standby", "active")
        return (heart.get("state"), peer) == wanted

    def pid(self, child: str) -> int:
        """Give the process id of pulse itself, or of a child of it."""
        if child == "pulse":
            assert self.process is not None
            return self.process.pid
        return int(self.ask("status")["pulse"]["pids"][child])

    def restarts(self) -> int:
        """Tell how often the heart was started again."""
        return int(((self.ask("status").get("pulse") or {}).get("restarts") or {}).get("heart", 0))

    def log_end(self) -> str:
        """Give the last lines that pulse has written."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-1500:]

    def transitions(self) -> list[str]:
        """Give the events by which this router took the addresses or let go of them."""
        events = self.ask("events").get("events") or ()
        texts = [str(event["text"]) for event in events]
        return [text for text in texts if "takes the virtual" in text or "lets go" in text]

    def revive(self) -> None:
        """What systemd does when pulse has died: ExecStopPost=, and another one."""
        assert self.process is not None
        self.process.wait(10)
        words = ["release", "--config", str(self.folder / "lvs.cf")]
        words += ["--run-dir", str(self.folder / "run")]
        argv = ["ip", "netns", "exec", self.namespace, sys.executable, "-m", "piranha", *words]
        subprocess.run(argv, env=self.env(), check=True, timeout=30)
        self.start()

    def hang(self) -> None:
        """Stop the heart's process, as a fault that no restart cures."""
        os.kill(self.pid("heart"), signal.SIGSTOP)

    def resigned_at(self) -> float | None:
        """Give when pulse decided to resign, on the monotonic clock, or None."""
        events = self.ask("events").get("events") or ()
        found = [event["time"] for event in events if "resigns" in event["text"]]
        return found[-1] - time.time() + time.monotonic() if found else None


class Keepalived(Router):
    """keepalived with one VRRP instance, as quick as it can be told to be."""

    program = "keepalived"

    def configure(self, interval: float, count: int) -> None:
        """See Router."""
        first, *others = addresses(count)
        text = f"""\
global_defs {{
    vrrp_version 3
    vrrp_rt_priority 10
    vrrp_no_swap
}}
vrrp_instance bench {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int {interval:g}
    virtual_ipaddress {{
        {first}/32 dev eth0
    }}
"""
        if others:
            text += "    virtual_ipaddress_excluded {\n"
            text += "".join(f"        {address}/32 dev eth0\n" for address in others)
            text += "    }\n"
        (self.folder / "keepalived.conf").write_text(text + "}\n", encoding="ascii")

    def start(self) -> None:
        """See Router."""
        at = self.folder
        for name in ("pid", "vrrp"):  # one that was killed leaves them, and would keep this one out
            (at / name).unlink(missing_ok=True)
        files = ["-f", str(at / "keepalived.conf"), "-p", str(at / "pid"), "-r", str(at / "vrrp")]
        self.run("keepalived", "--dont-fork", "--vrrp", "--log-console", *files)

    def ready(self, active: bool) -> bool:
        """See Router. It tells nobody; who has heard an advertisement stands by."""
        log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        entered = "MASTER" if active else "BACKUP"
        states = [line for line in log.splitlines() if "Entering" in line]
        return bool(states) and entered in states[-1] and self.holds() == active


def until(what: Callable[[], object], why: str, limit: float = SETTLE) -> None:
    """Wait until a call gives true; RuntimeError with `why` if it does not in time."""
    end = time.monotonic() + limit
    while not what():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {limit:g} s in vain until {why}")
        time.sleep(0.02)


def quiet(net: Net) -> None:
    """Give the client and the routers a way to the many addresses, and no delay by detection."""
    ip("-n", net.client, "route", "add", f"{FIRST_OF_MANY[0]}.0/24", "dev", "eth0")
