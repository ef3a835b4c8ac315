# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NAT cluster in network namespaces of this kernel: client, two routers, two real servers.

    client 203.0.113.100 --- public --- r1 .11, r2 .12 --- private --- rs1 10.9.0.21, rs2 .22
                             virtual address 203.0.113.10, gateway of the real servers 10.9.0.1

Everything it makes ends with `down`. It says how things are done, not what must come of it; that
is test_agent.py. Only for a kernel of its own (tests/lab/in-ipvs-kernel), or where it needs no
IPVS, for an /etc and a /run of its own (tests/page/alone): it writes there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from piranha.control.client import Client, Refused, Unreachable

from tests.cluster.traffic import Request, requests_from

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SOURCES = ROOT / "files" / "piranha-agent" / "src"

VIRTUAL, GATEWAY, PORT = "203.0.113.10", "10.9.0.1", 80
URL = f"http://{VIRTUAL}:{PORT}/"
KEEPALIVE, DEADTIME = 0.5, 1.5

COMPILED = "/run/cluster-test/compiled"
SWITCH = "switch"
PUBLIC, PRIVATE = "public", "private"
HOSTS: dict[str, dict[str, str]] = {
    # host -> network -> address; a network's interface is eth0 (public) or eth1 (private)
    "client": {PUBLIC: "203.0.113.100/24"},
    "r1": {PUBLIC: "203.0.113.11/24", PRIVATE: "10.9.0.11/24"},
    "r2": {PUBLIC: "203.0.113.12/24", PRIVATE: "10.9.0.12/24"},
    "rs1": {PRIVATE: "10.9.0.21/24"},
    "rs2": {PRIVATE: "10.9.0.22/24"},
}
DEVICE = {PUBLIC: "eth0", PRIVATE: "eth1"}
ROUTERS = ("r1", "r2")
SERVERS = {"rs1": "10.9.0.21", "rs2": "10.9.0.22"}

CONFIG = f"""\
primary = 203.0.113.11
primary_private = 10.9.0.11
backup = 203.0.113.12
backup_private = 10.9.0.12
backup_active = 1
heartbeat = 1
keepalive = {KEEPALIVE}
deadtime = {DEADTIME}
network = nat
nat_router = {GATEWAY} eth1
nat_nmask = 255.255.255.0

virtual web {{
    active = 1
    address = {VIRTUAL} eth0
    vip_nmask = 255.255.255.0
    port = {PORT}
    protocol = tcp
    scheduler = rr
    timeout = 1
    reentry = 1

    server rs1 {{
        address = {SERVERS["rs1"]}
        active = 1
        weight = 1
    }}
    server rs2 {{
        address = {SERVERS["rs2"]}
        active = 1
        weight = 1
    }}
}}
"""


def run(
    *argv: str, text: str | None = None, check: bool = True, env: dict[str, str] | None = None
) -> str:
    """Run a program to its end and give what it printed."""
    done = subprocess.run(
        argv, input=text, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def inside(host: str, *argv: str) -> list[str]:
    """Give the command line that runs `argv` on a host."""
    return ["ip", "netns", "exec", host, *argv]


class Place(Protocol):
    """Namespaces, and what is in them."""

    def up(self) -> None:
        """Make them."""

    def down(self) -> None:
        """Remove them, also where making them has failed half-way."""


Made = TypeVar("Made", bound=Place)


@contextlib.contextmanager
def standing(made: Made) -> Iterator[Made]:
    """Make a place, give it, and remove it."""
    try:
        made.up()
        yield made
    finally:
        made.down()


def soon(what: Callable[[], object], why: str, limit: float = 60.0) -> None:
    """Wait until something is true; AssertionError with `why` when it is not in time."""
    end = time.monotonic() + limit
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit:g} s in vain until {why}")
        time.sleep(0.05)


def family(pid: int) -> Iterator[int]:
    """Give a process and all its descendants; `ip netns exec` becomes the program itself."""
    yield pid
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        for child in text.split():
            yield from family(int(child))


def make_network() -> None:
    """Make namespaces, switches and cables, all of them up."""
    for name in (SWITCH, *HOSTS):
        run("ip", "netns", "add", name)
    lines = []
    for network in (PUBLIC, PRIVATE):
        lines += [f"link add {network} type bridge", f"link set {network} up"]
    for host, networks in HOSTS.items():
        for network in networks:
            port = f"{host}-{network[:4]}"
            lines.append(f"link add {port} type veth peer name {DEVICE[network]} netns {host}")
            lines.append(f"link set {port} master {network} up")
    run("ip", "-n", SWITCH, "-batch", "-", text="\n".join(lines))
    for host, networks in HOSTS.items():
        lines = ["link set lo up"]
        for network, address in networks.items():
            lines.append(f"address add {address} dev {DEVICE[network]}")
            lines.append(f"link set {DEVICE[network]} up")
        if host in SERVERS:
            lines.append(f"route add default via {GATEWAY}")
        run("ip", "-n", host, "-batch", "-", text="\n".join(lines))
    for router in ROUTERS:
        settings = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0"]
        run(*inside(router, "sysctl", "-q", "-w", *settings))


@dataclass
class Router:
    """One router's agent, as systemd would run it."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    key: str = ""

    @property
    def config(self) -> Path:
        return self.folder / "lvs.cf"

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def write(self, config: str, key: str) -> None:
        """Put the files where the agent of this router finds them."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.config.write_text(config, encoding="utf-8")
        # `ip netns exec` lays /etc/netns/NAME/* over /etc/*, so each router has a key of its own.
        own = Path("/etc/netns") / self.name / "piranha"
        own.mkdir(parents=True, exist_ok=True)
        Path("/etc/piranha").mkdir(exist_ok=True)
        path = own / "heartbeat.key"
        path.touch(mode=0o600)
        path.write_text(key + "\n", encoding="ascii")

    def start(self) -> None:
        """Start pulse."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                inside(self.name, *self._piranha("pulse")), env=self.environment(), stderr=log
            )

    def hup(self) -> None:
        """Have it read its file again, as `systemctl reload` would by a signal."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def reload(self, config: str) -> None:
        """Give it another file, and have it read that."""
        self.config.write_text(config, encoding="utf-8")
        self.hup()

    def stop(self) -> int:
        """Stop it as `systemctl stop` does; gives pulse's exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.process = None
        self.release()
        return status

    def power_off(self) -> None:
        """End all its processes at once and cut its cables, as a power cut does."""
        cables = [f"link set {self.name}-{network[:4]} down" for network in HOSTS[self.name]]
        run("ip", "-n", SWITCH, "-batch", "-", text="\n".join(cables))  # in the same instant
        self.kill_all()

    def kill_all(self) -> None:
        """End all its processes at once: a heart that lives on would let go properly."""
        if self.process is not None:
            for pid in list(family(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(20)
            self.process = None

    def power_on(self) -> None:
        """Connect its cables again and forget what a machine forgets when it boots."""
        run("ip", "-n", self.name, "address", "flush", "to", f"{VIRTUAL}/32", check=False)
        run("ip", "-n", self.name, "address", "flush", "to", f"{GATEWAY}/32", check=False)
        run(*inside(self.name, "ipvsadm", "-C"))
        self.forget()
        for network in HOSTS[self.name]:
            run("ip", "-n", SWITCH, "link", "set", f"{self.name}-{network[:4]}", "up")

    def forget(self) -> None:
        """Empty /run, as a boot does."""
        for path in self.run_dir.iterdir() if self.run_dir.exists() else ():
            path.unlink()

    def release(self) -> None:
        """What the unit's ExecStopPost= does."""
        run(*inside(self.name, *self._piranha("release")), env=self.environment())

    def status(self) -> dict[str, Any]:
        """Give its status; empty while it cannot be asked."""
        try:
            with Client(self.run_dir / "control.sock", 5) as client:
                return client.ask("status")
        except (Unreachable, Refused):
            return {}

    def state(self) -> str:
        """Give what its heart says it is: active, standby ..."""
        return str((self.status().get("heart") or {}).get("state", ""))

    def partner(self) -> str:
        """Give what its heart heard the partner say it is."""
        return str(((self.status().get("heart") or {}).get("peer") or {}).get("state", ""))

    def events(self) -> list[str]:
        """Give the sentences of its events."""
        with Client(self.run_dir / "control.sock", 5) as client:
            return [str(event["text"]) for event in client.ask("events")["events"]]

    def shown(self) -> str:
        """Give what `piranha status` prints."""
        argv = [sys.executable, "-m", "piranha", "status", "--run-dir", str(self.run_dir)]
        return run(*argv, env=self.environment(), check=False)

    def pid(self, child: str) -> int:
        """Give the process id of heart or lvsd."""
        return int(self.status()["pulse"]["pids"][child])

    def restarts(self, child: str) -> int:
        """Tell how often a child was started again."""
        return int(((self.status().get("pulse") or {}).get("restarts") or {}).get(child, -1))

    def holds(self) -> set[str]:
        """Give which of the floating addresses this router's kernel has."""
        listed = json.loads(run("ip", "-n", self.name, "-json", "address", "show"))
        mine = {info["local"] for link in listed for info in link.get("addr_info", ())}
        return mine & {VIRTUAL, GATEWAY}

    def table(self) -> str:
        """Give the IPVS table as ipvsadm shows it."""
        return run(*inside(self.name, "ipvsadm", "-Ln"))

    def connections(self) -> dict[int, tuple[str, str]]:
        """Give state and server of each connection in its table by the client's port."""
        lines = run(*inside(self.name, "ipvsadm", "-Lnc")).splitlines()[2:]
        columns = [line.split() for line in lines]
        return {int(c[3].rpartition(":")[2]): (c[2], c[5]) for c in columns}

    def log(self) -> str:
        """Give what its pulse has written for the journal."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def _piranha(self, command: str) -> list[str]:
        argv = [sys.executable, "-m", "piranha", command]
        return [*argv, "--config", str(self.config), "--run-dir", str(self.run_dir)]

    @staticmethod
    def environment() -> dict[str, str]:
        """Give the environment that its programs run in."""
        left_out = {"NOTIFY_SOCKET", "PYTHONDONTWRITEBYTECODE"}
        env = {k: v for k, v in os.environ.items() if k not in left_out}
        # As on a router, where the agent is compiled when it is installed.
        return {**env, "PYTHONPATH": str(SOURCES), "PYTHONPYCACHEPREFIX": COMPILED}


@dataclass
class Cluster:
    """All of it."""

    folder: Path
    routers: dict[str, Router] = field(default_factory=dict)
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def up(self) -> None:
        """Make the network and start the real servers."""
        make_network()
        for name in ROUTERS:
            self.routers[name] = Router(name, self.folder / name)
        for name in SERVERS:
            self.start_server(name)

    def down(self) -> None:
        """End everything."""
        for router in self.routers.values():
            with contextlib.suppress(Exception):
                router.power_off()
        for server in self.servers.values():
            server.kill()
            server.wait(10)
        for name in (SWITCH, *HOSTS):
            run("ip", "netns", "delete", name, check=False)

    def start_server(self, name: str) -> None:
        """Start a real server."""
        argv = [sys.executable, str(HERE / "real_server.py"), SERVERS[name], str(PORT), name]
        self.servers[name] = subprocess.Popen(inside(name, *argv))

    def stop_server(self, name: str) -> None:
        """Stop a real server: its port is closed from now on."""
        self.servers[name].kill()
        self.servers[name].wait(10)

    def write(self, config: str = CONFIG, wrong_key: bool = False) -> None:
        """Give both routers their files; with `wrong_key` two different keys."""
        key = secrets.token_hex(32)
        for name, router in self.routers.items():
            other = secrets.token_hex(32) if wrong_key and name == "r2" else key
            router.write(config, other)

    def start(self) -> None:
        """Start both agents and wait until r1 serves and r2 stands by, both with a table."""
        self.routers["r1"].start()
        soon(lambda: self.routers["r1"].state() == "active", "r1 is active")
        self.routers["r2"].start()
        self.settle("r1")

    def settle(self, active: str) -> None:
        """Wait until this router is active, the other standby, and both know their servers."""
        other = next(name for name in ROUTERS if name != active)
        soon(lambda: self.routers[active].state() == "active", f"{active} is active")
        soon(lambda: self.routers[other].state() == "standby", f"{other} is standby")
        soon(lambda: self.routers[active].holds() == {VIRTUAL, GATEWAY}, f"{active} holds all")
        for router in self.routers.values():
            soon(
                lambda r=router: all(f"{a}:{PORT}" in r.table() for a in SERVERS.values()),  # type: ignore[misc]
                f"{router.name} has both real servers in its table",
            )

    def as_started(self) -> bool:
        """Whether both agents run and are as `start` leaves them: no need to start them anew."""
        r1, r2 = (self.routers[name] for name in ROUTERS)
        return (
            (r1.state(), r2.state(), r1.partner()) == ("active", "standby", "standby")
            and r1.holds() == {VIRTUAL, GATEWAY}
            and not r2.holds()
            and not r1.status()["pulse"]["resigned"]
            and all(f"{a}:{PORT}" in r.table() for a in SERVERS.values() for r in (r1, r2))
        )

    def stop(self) -> None:
        """Stop both agents and make everything as it was."""
        for router in self.routers.values():
            router.power_off()
            router.power_on()

    @contextlib.contextmanager
    def traffic(self) -> Iterator[list[Request]]:
        """Have the client ask all the while; the list is filled at the end."""
        result = self.folder / "traffic.json"
        result.unlink(missing_ok=True)
        argv = [sys.executable, str(HERE / "traffic.py"), URL, "--json", str(result)]
        process = subprocess.Popen(inside("client", *argv), stdout=subprocess.PIPE)
        found: list[Request] = []
        try:
            _wait_for_line(process)
            time.sleep(0.5)
            yield found
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            found += requests_from(result)
        finally:
            process.kill()
            process.wait(10)

    @contextlib.contextmanager
    def downloads(self, count: int, times: int = 1) -> Iterator[list[dict[str, Any]]]:
        """Begin slow downloads from the client; what became of each is told at the end."""
        found: list[dict[str, Any]] = []
        argv = [sys.executable, str(HERE / "downloads.py"), VIRTUAL, str(PORT), str(count)]
        argv.append(str(times))
        process = subprocess.Popen(inside("client", *argv), stdout=subprocess.PIPE)
        try:
            _wait_for_line(process)
            yield found
            output, _unused = process.communicate(timeout=60)
            found += json.loads(output)
        finally:
            process.kill()
            process.wait(10)

    @contextlib.contextmanager
    def watched_table(self, router: str) -> Iterator[dict[str, int]]:
        """Watch a router's table all the while; the least that was seen is told at the end."""
        argv = inside(router, sys.executable, str(HERE / "table_watch.py"))
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        found: dict[str, int] = {}
        try:
            _wait_for_line(process)
            yield found
            process.send_signal(signal.SIGTERM)
            output, _unused = process.communicate(timeout=20)
            found |= json.loads(output)
        finally:
            process.kill()
            process.wait(10)


def _wait_for_line(process: subprocess.Popen[bytes]) -> None:
    """Wait until a program says that it is at work: starting one takes a while in there."""
    if process.stdout is None or not process.stdout.readline():
        raise RuntimeError(f"{process.args!r} ended at once with status {process.wait(10)}")
