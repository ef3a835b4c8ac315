# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks of whole programs share: a network, real servers, both programs, measuring.

Both programs get the same cluster in their own language. Everything it starts ends with `end`. It
measures and judges nothing by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "files/piranha-agent/src"
sys.path.insert(0, str(SOURCES))

from piranha.control.client import Client, Refused, Unreachable  # noqa: E402 - path

CLONE_NEWNET = 0x40000000
IPVS = Path("/proc/net/ip_vs")
KEY = Path("/etc/piranha/heartbeat.key")
VIRTUAL, OWN, DEVICE = "203.0.113.10", "203.0.113.1", "eth0"
SERVERS = "10.0.0.0/8"
FIRST_PORT = 1000
MB = 1024.0  # of the kernel's kB


class Wanted(NamedTuple):
    """A cluster: services with servers, checked every `interval` seconds in some way (check).

    port: of the real servers.
    """

    services: int
    servers: int
    interval: float = 3.0
    check: str = "tcp"
    port: int = 80

    @property
    def total(self) -> int:
        """Real servers in all."""
        return self.services * self.servers


def address(number: int) -> str:
    """The address of a real server."""
    high, low = divmod(number, 250)
    return f"10.{high // 250}.{high % 250}.{low + 1}"


def lvs_cf(wanted: Wanted, weights: dict[int, int] | None = None) -> str:
    """The cluster as lvs.cf; weights: those that are not 1, by number of the server."""
    lines = [
        f"primary = {OWN}\nbackup = 203.0.113.2\nbackup_active = 1\nheartbeat = 1",
        "keepalive = 1\ndeadtime = 4\nnetwork = nat\nservice = lvs",
    ]
    for service in range(wanted.services):
        lines.append(
            f"virtual web{service} {{\n    active = 1\n    address = {VIRTUAL} {DEVICE}\n"
            f"    vip_nmask = 255.255.255.255\n    port = {FIRST_PORT + service}\n"
            f"    protocol = tcp\n    scheduler = wlc\n    check = {wanted.check}\n"
            f"    timeout = {wanted.interval:g}\n    reentry = {wanted.interval:g}"
        )
        for one in range(wanted.servers):
            number = service * wanted.servers + one
            weight = (weights or {}).get(number, 1)
            lines.append(
                f"    server s{one} {{\n        address = {address(number)}\n"
                f"        port = {wanted.port}\n        active = 1\n"
                f"        weight = {weight}\n    }}"
            )
        lines.append("}")
    return "\n".join(lines) + "\n"


def keepalived_conf(wanted: Wanted, weights: dict[int, int] | None = None) -> str:
    """The same in keepalived's language. One failure is enough for both."""
    check = "TCP_CHECK"
    inner = f"connect_timeout {wanted.interval:g}\n retry 0"  # a virtual server cannot say 0
    if wanted.check == "http":
        check, inner = "HTTP_GET", f"url {{\n path /\n status_code 200\n }}\n {inner}"
    lines = ["global_defs {\n router_id bench\n}"]
    for service in range(wanted.services):
        lines.append(
            f"virtual_server {VIRTUAL} {FIRST_PORT + service} {{\n delay_loop {wanted.interval:g}\n"
            " lb_algo wlc\n lb_kind NAT\n protocol TCP"
        )
        for one in range(wanted.servers):
            number = service * wanted.servers + one
            weight = (weights or {}).get(number, 1)
            lines.append(
                f" real_server {address(number)} {wanted.port} {{\n weight {weight}\n"
                f" {check} {{\n {inner}\n }}\n }}"
            )
        lines.append("}")
    return "\n".join(lines) + "\n"


def own_network() -> None:
    """Move into a network of our own in which all of SERVERS is this machine.

    And to the front of the queue for the processor, with all that is started from here: what else
    runs on the machine is not to be measured.
    """
    os.nice(-15)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise SystemExit("cannot make a network namespace of its own; run it as root")
    for words in ("link set lo up", f"route add local {SERVERS} dev lo"):
        subprocess.run(["ip", *words.split()], check=True, timeout=30)


def own_card() -> None:
    """Give the router an interface with its address; needs a kernel with dummy interfaces."""
    for words in (
        f"link add {DEVICE} type dummy",
        f"link set {DEVICE} up",
        f"address add {OWN}/24 dev {DEVICE}",
    ):
        subprocess.run(["ip", *words.split()], check=True, timeout=30)


class Servers:
    """A crowd of real servers (crowd.py)."""

    def __init__(self, kind: str, port: int = 80) -> None:
        pipe = subprocess.PIPE
        argv = [sys.executable, "-m", "tests.bench.crowd", kind, str(port)]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def gaps(self) -> dict[str, float]:
        """Give the distances between checks of the same server since the last call."""
        assert self._process.stdin is not None
        self._process.stdin.write("gaps\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._read())
        return found

    def die(self) -> None:
        """All of them at once: their port refuses from now on."""
        self._process.kill()
        self._process.wait(10)


class Spent(NamedTuple):
    """Processor seconds, in the program and in the kernel for it."""

    user: float
    system: float

    @property
    def both(self) -> float:
        """All of it."""
        return self.user + self.system

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.user - other.user, self.system - other.system)


def spent(pids: Iterable[int]) -> Spent:
    """Processor time of some processes so far."""
    user = system = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        user, system = user + int(words[11]), system + int(words[12])
    ticks = os.sysconf("SC_CLK_TCK")
    return Spent(user / ticks, system / ticks)


def proportional(pid: int) -> float:
    """Memory of a process in MB, what it shares divided among those that share it (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / MB
    raise SystemExit(f"the kernel tells no PSS of process {pid}")


def below(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def name_of(pid: int) -> str:
    """What the kernel calls a process."""
    return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()


def in_table() -> int:
    """Real servers in the kernel's table that get connections."""
    lines = IPVS.read_bytes().split(b"\n")
    return sum(line.startswith(b"  ->") and line.split()[3] != b"0" for line in lines[3:])


def until(what: Callable[[], bool], limit: float, why: str, pause: float = 0.05) -> float:
    """Wait until something is so; gives the seconds it took."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > limit:
            raise SystemExit(f"waited {limit:g} s in vain until {why}")
        time.sleep(pause)
    return time.monotonic() - began


@dataclass
class Program:
    """A program under measurement: how it is started, and how it is told to read again."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    children: list[int] = field(default_factory=list)

    def write(self, wanted: Wanted, weights: dict[int, int] | None = None) -> None:
        """Put its configuration in place."""
        raise NotImplementedError

    def argv(self) -> list[str]:
        """What is run."""
        raise NotImplementedError

    def reload(self) -> None:
        """Have it read its configuration again."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv(), cwd=ROOT, env=environment(), stdout=log, stderr=log
            )

    def pids(self) -> list[int]:
        """All of its processes."""
        return below(self.process.pid) if self.process is not None else []

    def checkers(self) -> list[int]:
        """Those that have to do with checks."""
        return self.pids()

    def kill(self) -> None:
        """Kill it and all its children; what is in the table stays there."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        if self.process is not None:
            self.process.wait(20)
            self.process = None

    def end(self) -> None:
        """Kill it and all its children; the table is emptied."""
        self.kill()
        subprocess.run(["ipvsadm", "-C"], check=False, timeout=60)

    def tail(self) -> str:
        """The last it said."""
        text = (self.folder / f"{self.name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-5:])


class Piranha(Program):
    """The whole agent, as systemd would run it."""

    @property
    def config(self) -> Path:
        """Its lvs.cf."""
        return self.folder / "lvs.cf"

    @property
    def run_dir(self) -> Path:
        """Its folder below /run."""
        return self.folder / "run"

    def write(self, wanted: Wanted, weights: dict[int, int] | None = None) -> None:
        """See Program."""
        self.run_dir.mkdir(exist_ok=True)
        KEY.parent.mkdir(exist_ok=True)
        if not KEY.exists():
            KEY.touch(mode=0o600)
            KEY.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        self.config.write_text(lvs_cf(wanted, weights), encoding="utf-8")

    def argv(self) -> list[str]:
        """See Program."""
        where = ["--config", str(self.config), "--run-dir", str(self.run_dir)]
        return ["/usr/bin/python3", "-m", "piranha", "pulse", *where]

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """Ask pulse; empty while it cannot answer."""
        with (
            contextlib.suppress(Unreachable, Refused),
            Client(self.run_dir / "control.sock", 60) as client,
        ):
            return client.ask(request, **arguments)
        return {}

    def reload(self) -> None:
        """See Program."""
        with Client(self.run_dir / "control.sock", 60) as client:
            client.ask("reload")

    def lvsd(self) -> int:
        """The process that checks."""
        return next(pid for pid in self.pids() if name_of(pid).startswith("lvsd"))

    def checkers(self) -> list[int]:
        """See Program. Heart and its understudies check nothing."""
        assert self.process is not None
        return [self.process.pid, self.lvsd()]

    def end(self) -> None:
        """See Program."""
        super().end()
        for path in self.run_dir.iterdir():
            path.unlink()


class Keepalived(Program):
    """keepalived's checkers alone, without VRRP."""

    def write(self, wanted: Wanted, weights: dict[int, int] | None = None) -> None:
        """See Program."""
        path = self.folder / "keepalived.conf"
        path.write_text(keepalived_conf(wanted, weights), encoding="utf-8")

    def argv(self) -> list[str]:
        """See Program."""
        files = ["-f", "keepalived.conf", "-p", "keepalived.pid", "-c", "checkers.pid"]
        here = [word if word[0] == "-" else str(self.folder / word) for word in files]
        return ["keepalived", "--dont-fork", "--log-console", "--check", *here]

    def reload(self) -> None:
        """See Program."""
        assert self.process is not None
        os.kill(self.process.pid, 1)


def environment() -> dict[str, str]:
    """As on a router, where the agent was compiled when it was installed."""
    left_out = {"NOTIFY_SOCKET", "PYTHONDONTWRITEBYTECODE"}
    env = {key: value for key, value in os.environ.items() if key not in left_out}
    return {**env, "PYTHONPATH": str(SOURCES), "PYTHONPYCACHEPREFIX": "/run/piranha-bench"}


@contextlib.contextmanager
def running(program: Program, wanted: Wanted) -> Iterator[float]:
    """Run a program until all servers are in the table; gives the seconds that took."""
    program.write(wanted)
    try:
        program.start()
        try:
            yield until(
                lambda: in_table() == wanted.total,
                120,
                f"{program.name} has all {wanted.total} servers in the table",
            )
        except SystemExit:
            print(program.tail())
            raise
    finally:
        program.end()
