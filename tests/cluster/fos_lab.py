# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two routers with `service = fos` that run nginx and redis, in the namespaces of cluster.py.

Both programs are the real ones of Debian, in the background as a service has to be. What runs
where is read from the kernel's list of listening sockets, never from what the agent says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from piranha.control.client import Client, Refused, Unreachable
from piranha.fos.listening import listens

from tests.cluster.cluster import (
    DEADTIME,
    KEEPALIVE,
    PRIVATE,
    PUBLIC,
    ROUTERS,
    SWITCH,
    VIRTUAL,
    Cluster,
    Router,
    inside,
    make_network,
    run,
    soon,
)

HTTP, REDIS = 80, 6379
OTHER = "203.0.113.20"
"""The address of a service that has a group of its own."""
MEMORY = 5
"""Seconds for which restarts count; as few as the tests' own crashes need."""
PORTS = {"web": HTTP, "db": REDIS}
ETC = "/etc/piranha"
"""`ip netns exec` lays a folder of each router's own over it."""

NGINX = f"""\
pid {ETC}/nginx.pid; error_log {ETC}/nginx.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {ETC}/a; proxy_temp_path {ETC}/b; fastcgi_temp_path {ETC}/c;
  uwsgi_temp_path {ETC}/d; scgi_temp_path {ETC}/e;
  server {{ listen {HTTP}; return 200 "NAME\\n"; }}
}}
"""

NOTIFY = f"""#!/usr/bin/python3 -I
import os
with open('{ETC}/notified', 'a') as file:
    print(os.environ['PIRANHA_OLD_STATE'] or 'new', os.environ['PIRANHA_STATE'],
          os.environ['PIRANHA_ADDRESSES'] or 'none', file=file)
"""

REDIS_CONF = f"""\
bind 0.0.0.0
port {REDIS}
protected-mode no
daemonize yes
pidfile {ETC}/redis.pid
logfile {ETC}/redis.log
dir {ETC}
save ""
"""

START = {
    "web": f"/usr/sbin/nginx -c {ETC}/nginx.conf -e {ETC}/nginx.log",
    "db": f"/usr/bin/redis-server {ETC}/redis.conf",
}
STOP = {
    "web": f"/usr/sbin/nginx -c {ETC}/nginx.conf -e {ETC}/nginx.log -s stop",
    "db": f"/usr/bin/redis-cli -h 127.0.0.1 -p {REDIS} shutdown nosave",
}


def config(
    more: str = "",
    top: str = "",
    stop: dict[str, str] | None = None,
    groups: dict[str, str] | None = None,
    stop_timeout: float = 3,
) -> str:
    """Give lvs.cf. more: further lines in each block. top: global lines. stop: other stop_cmds.

    groups: the group of each service that has one; it then has the address OTHER.
    stop_timeout: of all services, in seconds.
    """
    text = f"""\
service = fos
primary = 203.0.113.11
primary_private = 10.9.0.11
backup = 203.0.113.12
backup_private = 10.9.0.12
backup_active = 1
keepalive = {KEEPALIVE}
{top or f"deadtime = {DEADTIME}"}
"""
    checks = {"web": "check = http", "db": "check = redis"}
    for name, port in PORTS.items():
        group = (groups or {}).get(name)
        text += f"""
failover {name} {{
    active = 1
    address = {OTHER if group else VIRTUAL} eth0
    vip_nmask = 255.255.255.0
    port = {port}
    timeout = 1
    {checks[name]}
    start_cmd = "{START[name]}"
    stop_cmd = "{(stop or STOP).get(name, STOP[name])}"
    start_timeout = 20
    stop_timeout = {stop_timeout}
    restart_interval = {MEMORY}
    {f"failover_group = {group}" if group else ""}
    {more}
}}
"""
    return text


class FosRouter(Router):
    """One router, and what runs on it."""

    holder: subprocess.Popen[bytes]
    marked: int = 0

    def prepare(self) -> None:
        """Write the services' configurations, and keep a process from which the kernel is read."""
        own = Path("/etc/netns") / self.name / "piranha"
        own.mkdir(parents=True, exist_ok=True)
        Path(ETC).mkdir(exist_ok=True)
        (own / "nginx.conf").write_text(NGINX.replace("NAME", self.name))
        (own / "redis.conf").write_text(REDIS_CONF)
        (own / "notify").write_text(NOTIFY)
        (own / "notify").chmod(0o755)
        self.holder = subprocess.Popen(inside(self.name, "sleep", "100000"))

    def running(self) -> set[str]:
        """Give the services of which a socket listens in this router's network."""
        tables = [Path(f"/proc/{self.holder.pid}/net/tcp").read_text()]
        return {name for name, port in PORTS.items() if listens(tables, "tcp", VIRTUAL, port)}

    def has(self, address: str) -> bool:
        """Tell whether its kernel has an address."""
        return f" {address}/" in run("ip", "-n", self.name, "address", "show")

    def group(self, name: str) -> dict[str, object]:
        """Give what its status says of a group: state, partner, holding, services."""
        listed = (self.status().get("heart") or {}).get("groups") or ()
        return next((one for one in listed if one["name"] == name), {})

    def weak(self) -> bool:
        """Tell whether it is spared, since services failed here a short time ago."""
        listed = (self.status().get("fos") or {}).get("groups") or ()
        return any(one["word"]["weak"] for one in listed)

    def switch(self, *group: str) -> tuple[int, str]:
        """Run `piranha switchover`; gives its exit status and what it said."""
        argv = [sys.executable, "-m", "piranha", "switchover", "--run-dir", str(self.run_dir)]
        argv += group
        done = subprocess.run(
            argv, env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def digest(self) -> str:
        """Give the digest of the configuration in force."""
        return str((self.status().get("heart") or {}).get("digest", ""))

    def mark(self) -> None:
        """What is told from now on is new; see `told`."""
        self.marked = len(self.log())

    def told(self, part: str) -> bool:
        """Tell whether its log has something since the mark."""
        return part in self.log()[self.marked :]

    def pids_of(self, service: str) -> list[int]:
        """Give the processes of a service on this router, the first one first."""
        wanted = {"web": "nginx: ", "db": "redis-server "}[service]
        found = []
        for pid in map(int, run("ip", "netns", "pids", self.name).split()):
            with contextlib.suppress(OSError):
                if wanted in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                    found.append(pid)
        return sorted(found)

    def notified(self) -> list[str]:
        """Give what its notify_cmd has written: the state before, the state, the addresses."""
        path = Path("/etc/netns") / self.name / "piranha" / "notified"
        return path.read_text().splitlines() if path.exists() else []

    def crash(self, service: str) -> None:
        """Kill all processes of a service."""
        for pid in self.pids_of(service):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_pulse(self) -> None:
        """Kill pulse, and nothing that systemd would do after it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def power_off(self) -> None:
        """End all that runs on it at once, services included, and cut its cables."""
        pids = [int(word) for word in run("ip", "netns", "pids", self.name).split()]
        super().power_off()
        for pid in pids:
            if pid != self.holder.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def power_on(self) -> None:
        """Connect its cables again and forget what a machine forgets when it boots."""
        for address in (VIRTUAL, OTHER):
            run("ip", "-n", self.name, "address", "flush", "to", f"{address}/32", check=False)
        run("ip", "-n", self.name, "route", "del", "default", check=False)
        (Path("/etc/netns") / self.name / "piranha" / "notified").unlink(missing_ok=True)
        self.forget()
        for network in (PUBLIC, PRIVATE):
            self.cut(network, up=True)

    def cut(self, network: str, up: bool = False) -> None:
        """Cut one of its cables, or mend it."""
        port = f"{self.name}-{network[:4]}"
        run("ip", "-n", SWITCH, "link", "set", port, "up" if up else "down")

    def take(self) -> None:
        """Put its file in force; Refused where it is no good."""
        with Client(self.run_dir / "control.sock", 20) as client:
            client.ask("reload")

    def service(self, name: str) -> dict[str, object]:
        """Give what its status says of a service."""
        listed = (self.status().get("fos") or {}).get("services") or ()
        return next((one for one in listed if one["name"] == name), {})


@dataclass
class FosCluster(Cluster):
    """Both routers and the client."""

    pair: dict[str, FosRouter] = field(default_factory=dict)
    begun: bool = False
    """Whether both have their files and were started."""

    def up(self) -> None:
        """Make the network."""
        make_network()
        for name in ROUTERS:
            router = FosRouter(name, self.folder / name)
            router.prepare()
            self.pair[name] = self.routers[name] = router

    def down(self) -> None:
        """End everything."""
        for router in self.pair.values():
            with contextlib.suppress(Exception):
                router.power_off()
            router.holder.kill()
            router.holder.wait(10)
        super().down()

    @property
    def active(self) -> FosRouter:
        """The router that has the addresses."""
        return next(router for router in self.pair.values() if router.state() == "active")

    def other(self, router: FosRouter) -> FosRouter:
        """The partner of a router."""
        return next(one for one in self.pair.values() if one is not router)

    def be(self, text: str) -> None:
        """Run with a configuration, by reload where both run well; everything is on one router."""
        try:
            if not self.begun:
                raise AssertionError("nothing runs yet")
            for router in self.pair.values():
                before = router.config.read_text()
                router.config.write_text(text)  # the key stays
                if router.process is None or router.process.poll() is not None:
                    router.start()
                elif text != before:
                    router.take()
            soon(lambda: "active" in [one.state() for one in self.pair.values()], "one is active")
            self.settled(self.active.name)
            soon(lambda: not any(one.weak() for one in self.pair.values()), "nobody is spared")
        except (AssertionError, Refused, Unreachable):
            self.stop()
            self.write(text)
            self.start()
            self.begun = True
        for router in self.pair.values():
            router.mark()

    def start(self) -> None:
        """Start both agents and wait until r1 runs everything and r2 stands by."""
        self.pair["r1"].start()
        soon(lambda: self.pair["r1"].running() == set(PORTS), "r1 runs both services")
        self.pair["r2"].start()
        self.settled("r1")

    def settled(self, active: str) -> None:
        """Wait until one router has everything and says so, and the other stands by."""
        here = self.pair[active]
        other = next(router for name, router in self.pair.items() if name != active)
        soon(lambda: here.state() == "active", f"{active} is active")
        soon(lambda: here.running() == set(PORTS), f"{active} runs both services")
        soon(
            lambda: all(here.service(name).get("state") == "running" for name in PORTS),
            f"{active} says that both run",
        )
        soon(lambda: other.state() == "standby", f"{other.name} is standby")
        soon(lambda: not other.running(), f"{other.name} runs nothing")
        try:
            soon(
                lambda: all(other.service(name).get("state") == "stopped" for name in PORTS),
                f"{other.name} says that nothing runs",
            )
        except AssertionError as error:
            raise AssertionError(f"{error}, but {other.status().get('fos')}") from None

    def stop(self) -> None:
        """Stop both agents and services and make everything as it was."""
        for router in self.pair.values():
            router.power_off()
            router.power_on()

    @contextlib.contextmanager
    def sampled(self) -> Iterator[list[tuple[float, str]]]:
        """Look every 10 ms what listens where; lists the moments at which both ran a service."""
        both: list[tuple[float, str]] = []
        looks = [0]
        end = threading.Event()

        def look() -> None:
            while not end.wait(0.01):
                looks[0] += 1
                # One cannot look at both at once: only what r1 runs before and after r2 was looked
                # at ran on both; else a move between the two looks would count as well.
                before = self.pair["r1"].running()
                there = self.pair["r2"].running()
                for name in before & there & self.pair["r1"].running():
                    both.append((time.time(), name))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield both
            time.sleep(0.5)
        finally:
            end.set()
            thread.join(10)
        assert looks[0] > 5, "nobody has looked"
