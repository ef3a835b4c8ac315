# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""pulse in its real unit, with its whole sandbox, under a real systemd: commands get out of it.

The unit is the role's own template; only the paths are the checkout's.
"""

from __future__ import annotations

import os
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from piranha.control.client import Client, Refused, Unreachable

from tests.cluster.cluster import COMPILED, ROOT, SOURCES, run
from tests.cluster.sshd import Sshd
from tests.cluster.systemd_lab import UNITS, Machine, systemd, there

TEMPLATES = ROOT / "roles/piranha_router/templates"
PULSE, WEB, METRICS = "piranha-pulse.service", "piranha-fos-db.service", "piranha-metrics.service"
PORT, METRICS_PORT = 6379, 9539
RULES = {
    "nft": ("nft", "list", "table", "inet", "piranha_marks"),
    "iptables-legacy": ("iptables-legacy", "-w", "-t", "mangle", "-S", "PIRANHA_MARKS"),
}
"""Who marks -> what shows it."""
READERS = "users"  # any group that this machine has; the role makes one
HERE = Path("/opt/piranha-test")
ETC = HERE / "ssh"  # in the place of /etc/piranha/ssh: this machine's own /etc stays as it is
CONFIG = f"""\
service = fos
primary = 127.0.0.1
backup_active = 0
notify_cmd = "{HERE}/notify a$HOME %n"
failover db {{
    active = 1
    address = 127.0.0.9 lo
    port = {PORT}
    check = redis
    timeout = 1
    start_cmd = "/usr/bin/redis-server {HERE}/redis.conf"
    stop_cmd = "/usr/bin/redis-cli -h 127.0.0.9 -p {PORT} shutdown nosave"
    start_timeout = 30
    stop_timeout = 5
}}
"""
REDIS = f'bind 0.0.0.0\nport {PORT}\nprotected-mode no\ndaemonize yes\nsave ""\ndir {HERE}\n'
NOTIFY = f"""#!/usr/bin/python3 -I
import os, sys
status = open('/proc/self/status').read()
rights = next(line for line in status.splitlines() if line.startswith('CapEff'))
groups = open('/proc/self/cgroup').read().split()  # old hierarchies may be mounted beside the one
cgroup = next(line for line in groups if line.startswith('0::'))
with open('{HERE}/notified', 'a') as file:
    print(os.environ['PIRANHA_STATE'], rights.split()[1], sys.argv[1:],
          cgroup, file=file)
"""
ALL_RIGHTS = 1 << 21
"""CAP_SYS_ADMIN, which pulse does not have."""


def soon(
    what: Callable[[], object],
    why: str,
    limit: float = 90.0,
    shown: Callable[[], object] = lambda: "",
) -> None:
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, f"waited in vain until {why}: {shown()}"
        time.sleep(0.1)


def unit(name: str = PULSE) -> str:
    """Give the role's unit with the checkout's paths in it."""
    text = (TEMPLATES / f"{name}.j2").read_text(encoding="utf-8")
    values = {
        "__piranha_router_launcher": f"/usr/bin/env {there(sys.executable)} -m piranha",
        "piranha_router_config_file": f"{HERE}/lvs.cf",
        "piranha_router_metrics": f"127.0.0.1:{METRICS_PORT}",
        "piranha_router_metrics | regex_replace('^.*:', '')": str(METRICS_PORT),
        "__piranha_router_readers": READERS,
    }
    for variable, value in values.items():
        text = text.replace(f"{{{{ {variable} }}}}", value)
    text = re.sub(r"\{\{.*?\}\}", "", text)
    env = f"Environment=PYTHONPATH={there(SOURCES)} PYTHONPYCACHEPREFIX={COMPILED}\n"
    return text.replace("[Service]\n", f"[Service]\n{env}")


class Pulse:
    """The agent as a unit of that systemd."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def status(self) -> dict[str, Any]:
        try:
            with Client(self.machine.path(Path("/run/piranha/control.sock")), 5) as client:
                return client.ask("status")
        except (Unreachable, Refused, OSError):
            return {}

    def outside(self, inner: int) -> int:
        """Give the process id out here of one in there."""
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                found = re.search(r"^NSpid:\s+(\d+)\s+(\d+)$", path.read_text(), re.MULTILINE)
            except OSError:
                continue
            if found and int(found[2]) == inner:
                return int(found[1])
        return 0

    def db(self) -> str:
        listed = (self.status().get("fos") or {}).get("services") or [{}]
        return str(listed[0].get("state"))

    def redis(self) -> str:
        return self.machine.run("pidof", "redis-server", "redis-check-rdb", check=False)

    def notified(self) -> list[list[str]]:
        return [line.split() for line in self.machine.read(HERE / "notified").splitlines()]


@pytest.fixture(scope="module")
def machine_with_pulse() -> Iterator[Pulse]:
    with agent(CONFIG) as made:
        yield made


@pytest.fixture
def pulse(machine_with_pulse: Pulse) -> Pulse:
    """The agent with its service; begun anew where a test has stopped it."""
    machine_with_pulse.machine.run("systemctl", "start", "--no-block", PULSE)
    soon(lambda: machine_with_pulse.db() == "running", "redis runs")
    return machine_with_pulse


@contextmanager
def agent(config: str) -> Iterator[Pulse]:
    """Run the agent with a configuration."""
    with systemd() as machine:
        machine.write(HERE / "lvs.cf", config)
        machine.write(HERE / "redis.conf", REDIS)
        machine.write(HERE / "notify", NOTIFY, 0o755)
        machine.write(UNITS / PULSE, unit())
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "--no-block", PULSE)
        try:
            yield Pulse(machine)
        finally:
            machine.run("systemctl", "stop", PULSE, check=False)
            run("ip", "address", "flush", "to", "127.0.0.9/32", check=False)


def test_commands_have_all_rights_and_services_outlive_the_agent(pulse: Pulse) -> None:
    machine = pulse.machine
    assert pulse.status()["fos"]["runner"] == "systemd"
    rights = machine.read(Path(f"/proc/{machine.property(PULSE, 'MainPID')}/status"))
    assert not int(re.findall(r"CapEff:\s+(\w+)", rights)[0], 16) & ALL_RIGHTS, "pulse has few"
    soon(lambda: pulse.notified() and pulse.notified()[-1][0] == "active", "the hook has run")
    _unused, capabilities, *arguments, cgroup = pulse.notified()[-1]
    assert int(capabilities, 16) & ALL_RIGHTS
    assert arguments == ["['a$HOME',", "'%n']"]
    assert "piranha-notify_5fcmd-" in cgroup

    before = pulse.redis()
    assert before
    assert machine.property(WEB, "ActiveState") == "active"
    os.kill(pulse.outside(pulse.status()["pulse"]["pids"]["fos"]), 9)
    soon(lambda: pulse.status()["pulse"]["restarts"]["fos"] == 1, "fos is back")
    soon(lambda: pulse.db() == "running", "and adopts")
    assert pulse.redis() == before

    machine.run("systemctl", "stop", PULSE)
    assert pulse.redis() == ""
    assert machine.property(WEB, "LoadState") == "not-found"
    assert pulse.notified()[-1][0] == "stopped"


def test_metrics_are_served_by_a_user_who_may_look_and_nothing_else(pulse: Pulse) -> None:
    machine = pulse.machine
    machine.write(UNITS / METRICS, unit(METRICS))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", METRICS)
    soon(lambda: "piranha_up 1" in page(), "the metrics are served")
    assert 'piranha_failover_failed{failover="db",address="127.0.0.9:6379"} 0' in page()
    status = machine.read(Path(f"/proc/{machine.property(METRICS, 'MainPID')}/status"))
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {told[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert "0" not in told["Uid"].split()
    # Without the group it is told nothing.
    machine.write(UNITS / METRICS, unit(METRICS).replace(f"Groups={READERS}", "Groups="))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", METRICS)
    soon(lambda: "piranha_up 0" in page(), "nothing is told")


def page() -> str:
    """Give the page of metrics; empty where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=20) as got:
            return str(got.read(), "utf-8")
    except OSError:
        return ""


def test_after_the_death_of_pulse_the_service_is_stopped_and_begun_anew(pulse: Pulse) -> None:
    machine = pulse.machine
    before = pulse.redis()
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", PULSE)
    soon(lambda: pulse.redis() not in ("", before), "another redis runs")
    soon(lambda: pulse.db() == "running", "and pulse knows it")


def test_a_stop_command_that_hangs_is_followed_by_a_kill_of_the_unit(pulse: Pulse) -> None:
    machine = pulse.machine
    hang = CONFIG.replace("/usr/bin/redis-cli", "/usr/bin/sleep 600")
    machine.write(HERE / "lvs.cf", hang)
    machine.run("systemctl", "reload", PULSE)
    machine.run("systemctl", "stop", PULSE)
    assert pulse.redis() == ""
    assert machine.property(PULSE, "Result") == "success"


LOADED = f"""\
service = lvs
primary = 127.0.0.1
network = nat
rsh_command = "/usr/bin/ssh -F {ETC}/config"
virtual shop {{
    active = 1
    address = 127.0.0.9 lo
    ports = 80, 443
    persistent = 300
    load_monitor = uptime
    load_interval = 20
    load_timeout = 20
    server one {{
        address = 127.0.0.21
        active = 1
        weight = 10
    }}
}}
"""
SSH = f"""\
User root
Port {{port}}
IdentityFile {ETC}/key
IdentitiesOnly yes
UserKnownHostsFile {ETC}/known_hosts
GlobalKnownHostsFile none
"""


@pytest.mark.whole
def test_packets_are_marked_and_servers_asked_by_ssh_from_within_the_sandbox(
    tmp_path: Path,
) -> None:
    with Sshd(tmp_path, "127.0.0.21") as sshd, agent(LOADED) as pulse:
        machine = pulse.machine

        def lvsd() -> dict[str, Any]:
            return dict(pulse.status().get("lvsd") or {})

        soon(lambda: lvsd().get("services"), "lvsd serves")
        (shop,) = lvsd()["virtual"]
        soon(lambda: (lvsd().get("marking") or {}).get("by"), "the packets are marked")
        assert lvsd()["marking"]["error"] is None
        shown = machine.run(*RULES[lvsd()["marking"]["by"]])
        assert [line for line in shown.splitlines() if "127.0.0.9" in line], shown

        def busy() -> dict[str, Any]:
            return dict(lvsd()["virtual"][0]["servers"][0]["busy"])

        # Without a key it is told why; with one, where the documentation has it, it is asked.
        soon(lambda: busy()["problem"], "that it cannot be asked is told")
        assert f"{ETC}/config" in busy()["problem"]
        machine.write(ETC / "config", SSH.format(port=sshd.port), 0o600)
        machine.write(ETC / "key", sshd.key, 0o600)
        machine.write(ETC / "known_hosts", sshd.known)
        soon(lambda: busy()["average"] is not None, "its load is known", 180.0, busy)
        assert busy()["problem"] is None
        assert busy()["processors"] == len(os.sched_getaffinity(0))
        assert f"FWM  {shop['fwmark']:08X}" in Path("/proc/net/ip_vs").read_text()
