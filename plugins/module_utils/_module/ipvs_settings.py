# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules ipvs_timeouts, ipvs_sync_daemon and ipvs_zero do, and ipvs_info, which reads.

Private to this collection. The shell between AnsibleModule and the library; the functions without
a kernel in their arguments are pure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..ipvs.codec import Counters
from ..ipvs.data import daemon_data, key_from_data, timeouts_data, to_data
from ..ipvs.errors import IpvsError
from ..ipvs.ipvsadm import control_lines, table_lines
from ..ipvs.kernel import Kernel, Snapshot
from ..ipvs.model import ServerKey, ServiceKey
from ..ipvs.settings import (
    Control,
    Daemon,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)
from .ipvs_options import Options, Spec
from .ipvs_result import differing
from .ipvs_work import guarded

TALLIES = tuple(name for name in Counters._fields if "rate" not in name)
DAEMON_OPTIONS = ("interface", "syncid", "maxlen", "group", "port", "ttl")


def _text(data: object) -> str:
    """A diff's side: one value a line, sorted."""
    if not isinstance(data, dict):
        return ""
    return "".join(f"{name}: {data[name]}\n" for name in sorted(data))


def run_info(module: AnsibleModule) -> None:
    """The module ipvs_info."""
    counters = bool(module.params["counters"])

    def act(kernel: Kernel) -> dict[str, Any]:
        named = module.params["service"]
        only = None if named is None else [key_from_data(named, "service")]
        snapshot = kernel.snapshot(counters, only)
        return {
            "changed": False,
            "services": to_data(snapshot, counters),
            "commands": table_lines(snapshot.table),
            "timeouts": timeouts_data(kernel.timeouts()),
            "sync_daemons": [daemon_data(daemon) for daemon in kernel.daemons()],
        }

    guarded(module, act)


def run_timeouts(module: AnsibleModule) -> None:
    """The module ipvs_timeouts."""

    def act(kernel: Kernel) -> dict[str, Any]:
        given = {name: value for name, value in module.params.items() if value is not None}
        for name, value in given.items():
            if value < 1:  # to the kernel 0 means "as it is"
                raise IpvsError(
                    name, f"{value} is not a number of seconds from 1", "leave it out to keep it"
                )
        before = kernel.timeouts()
        wanted = Timeouts(**given).over(before)
        old, new = differing(timeouts_data(before), timeouts_data(wanted))
        told: dict[str, Any] = {"changed": bool(new), "commands": [], "changes": []}
        if new:
            control = SetTimeouts(Timeouts(**new))
            told["commands"] = control_lines([control])
            told["changes"] = [{"operation": "set timeouts", "before": old, "after": new}]
        if module._diff:
            told["diff"] = {"before": _text(old), "after": _text(new)}
        after = wanted
        if new and not module.check_mode:
            kernel.set_timeouts(Timeouts(**new))
            after = kernel.timeouts()
        return {**told, "before": timeouts_data(before), "after": timeouts_data(after)}

    guarded(module, act)


# Sync daemons


def daemon_spec() -> Spec:
    """The spec of ipvs_sync_daemon."""
    return {
        "role": {"type": "str", "choices": [role.value for role in Role], "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "interface": {"type": "str"},
        "syncid": {"type": "int"},
        "maxlen": {"type": "int"},
        "group": {"type": "str"},
        "port": {"type": "int"},
        "ttl": {"type": "int"},
    }


def daemon_of(options: Options, running: Daemon | None) -> Daemon:
    """The daemon as the options want it, upon the one that runs (None: a new one). IpvsError."""
    given = {name: options[name] for name in DAEMON_OPTIONS if options.get(name) is not None}
    if running is None:
        if "interface" not in given:
            raise IpvsError(
                f"sync daemon {options['role']}",
                "none runs, and no interface is given to start one on",
                "give the interface",
            )
        return Daemon(options["role"], **given)
    if given.get("interface", running.interface) != running.interface or "group" in given:
        given.setdefault("maxlen", 0)  # what fitted the other interface or group
    return running.replace(**given)


def effective(daemon: Daemon, mtu: int | None) -> Daemon:
    """The daemon with the longest message that the kernel makes of what is asked for.

    As start_sync_thread() of net/netfilter/ipvs/ip_vs_sync.c does; ``mtu`` is the interface's, None
    if it is not known: then what was asked for stays.
    """
    headers = 48 if ":" in daemon.group else 28  # IPv6 or IPv4, and UDP
    backup = daemon.role is Role.BACKUP
    if daemon.maxlen:
        return daemon.replace(
            maxlen=max(min(daemon.maxlen, 65535 - headers), 1024 if backup else 1)
        )
    if mtu is None:
        return daemon
    whole = max(1500, min(mtu, 65535)) if backup else 1500
    return daemon.replace(maxlen=whole - headers)


def _mtu(interface: str) -> int | None:
    try:
        return int(Path("/sys/class/net", interface, "mtu").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _running(kernel: Kernel, role: str) -> Daemon | None:
    return next((daemon for daemon in kernel.daemons() if daemon.role == role), None)


def _as_data(daemon: Daemon | None) -> dict[str, Any] | None:
    return daemon_data(daemon) if daemon else None


def run_daemon(module: AnsibleModule) -> None:
    """The module ipvs_sync_daemon."""

    def act(kernel: Kernel) -> dict[str, Any]:
        role = module.params["role"]
        before = _running(kernel, role)
        wanted = None
        if module.params["state"] == "present":
            wanted = daemon_of(module.params, before)
            wanted = effective(wanted, _mtu(wanted.interface))
        steps: list[tuple[Control, Daemon | None, Daemon | None]] = []
        if wanted != before:
            if before:
                steps.append((StopDaemon(before.role), before, None))
            if wanted:
                steps.append((StartDaemon(wanted), None, wanted))
        told: dict[str, Any] = {
            "changed": bool(steps),
            "commands": control_lines(control for control, _old, _new in steps),
            "changes": [
                {
                    "operation": str(control).rpartition(" ")[0],
                    "before": _as_data(old),
                    "after": _as_data(new),
                }
                for control, old, new in steps
            ],
        }
        if module._diff:
            sides = {"before": _text(_as_data(before)), "after": _text(_as_data(wanted))}
            told["diff"] = sides if steps else {"before": "", "after": ""}
        after = wanted
        if steps and not module.check_mode:
            if wanted:
                kernel.replace_daemon(wanted)
            elif before:
                kernel.stop_daemon(before.role)
            after = _running(kernel, role)
        return {**told, "before": _as_data(before), "after": _as_data(after)}

    guarded(module, act)


# Counters


def tallies(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The counters that are not zero, of services and servers, sorted."""
    found: list[tuple[ServiceKey, ServerKey | None, Counters | None]] = []
    for key in sorted(snapshot.services):
        found.append((key, None, snapshot.services[key].counters))
        for name in sorted(snapshot.table.servers(key)):
            found.append((key, name, snapshot.servers[key, name].counters))
    told = []
    for service, server, counters in found:
        values = {name: getattr(counters, name) for name in TALLIES} if counters else {}
        if any(values.values()):
            told.append(
                {
                    "service": str(service),
                    "server": str(server) if server else None,
                    "counters": values,
                }
            )
    return told


def _tally_lines(told: list[dict[str, Any]]) -> str:
    return "".join(
        f"{one['service']}{' -> ' + one['server'] if one['server'] else ''}: "
        + ", ".join(f"{name} {number}" for name, number in one["counters"].items())
        + "\n"
        for one in told
    )


def run_zero(module: AnsibleModule) -> None:
    """The module ipvs_zero."""

    def act(kernel: Kernel) -> dict[str, Any]:
        named = module.params["service"]
        key = None if named is None else key_from_data(named, "service")
        only = None if key is None else [key]
        snapshot = kernel.snapshot(only=only)
        if key is not None and key not in snapshot.services:
            raise IpvsError(f"virtual service {key}", "it is not there", "add it first")
        before = tallies(snapshot)
        name = str(key) if key else None
        told: dict[str, Any] = {"changed": bool(before), "commands": [], "changes": []}
        if before:
            told["commands"] = control_lines([Zero(key)])
            told["changes"] = [{"operation": "zero", "service": name}]
        if module._diff:
            told["diff"] = {"before": _tally_lines(before), "after": ""}
        after: list[dict[str, Any]] = []
        if before and not module.check_mode:
            kernel.zero(key)
            after = tallies(kernel.snapshot(only=only))
        return {**told, "before": before, "after": after}

    guarded(module, act)
