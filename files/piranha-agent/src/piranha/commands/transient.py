# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How systemd is asked to run a command as a unit of its own, outside pulse's sandbox. Pure.

pulse's unit has three capabilities and a read-only file system, and all in its control group ends
with it. A transient unit is started by systemd itself, so it has neither. systemd-run(1) and
systemctl(1) are the way to it: argument lists, through systemd's own socket, which lets root in
whatever capabilities it has left; no D-Bus daemon and no polkit are needed.
"""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Mapping

from .command import Command

SYSTEMD_RUN, SYSTEMCTL = "/usr/bin/systemd-run", "/usr/bin/systemctl"

_FIT = re.compile(r"[A-Za-z0-9:.]")
_STATUS = re.compile(r"code=(\w+) ; status=(\d+)")
_LONGEST = 80
"""Characters of a service's name that go into a unit's; systemd allows 255 in all."""


def unit_of(service: str) -> str:
    """Give the unit in which what a failover service started lives on."""
    return f"piranha-fos-{_escaped(service)}.service"


def unit_for(command: str, tag: str) -> str:
    """Give the unit for one run of a command; tag: random, since an earlier run may go on."""
    return f"piranha-{_escaped(command)}-{tag}.service"


def _escaped(name: str) -> str:
    """Make a name fit for a unit: two names never become one."""
    data = name.encode("utf-8", "surrogateescape")
    kept = "".join(chr(b) if _FIT.match(chr(b)) else f"_{b:02x}" for b in data)
    if len(kept) <= _LONGEST:
        return kept
    return f"{kept[: _LONGEST - 17]}_{hashlib.sha256(data).hexdigest()[:16]}"


def run(command: Command, unit: str) -> list[str]:
    """Give the command line that runs a command to its end and fails if it does.

    Without default dependencies, since a machine that is shutting down refuses to start any unit
    that has them, and just then services have to be stopped in order.
    """
    return _systemd_run(
        command, unit, "oneshot", {"DefaultDependencies": "no", "KillMode": "control-group"}
    )


def start(command: Command, unit: str, stop_limit: float, ours: str | None) -> list[str]:
    """Give the command line that starts a service: its program ends, what it leaves lives on.

    stop_limit: seconds that its processes have between TERM and KILL. ours: pulse's own unit. A
    machine that goes down stops in reverse order: pulse first, which stops the service properly.
    """
    more = {"RemainAfterExit": "yes", "TimeoutStopSec": f"{stop_limit:g}s"}
    if ours:
        more["Before"] = ours
    return _systemd_run(command, unit, "forking", more)


def _systemd_run(command: Command, unit: str, kind: str, more: Mapping[str, str]) -> list[str]:
    properties = {
        "TimeoutStartSec": f"{command.limit:g}s",
        "SyslogIdentifier": "piranha",
        "WorkingDirectory": "/",
        "UMask": "0022",
        **more,
    }
    return [
        SYSTEMD_RUN,
        "--quiet",
        f"--unit={unit}",
        f"--description=piranha: {command.name}",
        f"--service-type={kind}",
        *(f"--property={name}={value}" for name, value in properties.items()),
        *(f"--setenv={name}={value}" for name, value in command.environment.items()),
        "--",
        # systemd replaces $NAME in arguments; two of them stand for one.
        *(word.replace("$", "$$") for word in command.argv),
    ]


def end(unit: str) -> list[list[str]]:
    """Give the command lines that end all processes of a unit at once and forget it."""
    return [[SYSTEMCTL, "kill", "--signal=KILL", unit], *finish(unit)]


def finish(unit: str) -> list[list[str]]:
    """Give the command lines that end what is left of a unit in peace, and forget it."""
    return [[SYSTEMCTL, "stop", unit], forget(unit)]


def forget(unit: str) -> list[str]:
    """Give the command line that lets systemd forget that a unit failed."""
    return [SYSTEMCTL, "reset-failed", unit]


def show(unit: str) -> list[str]:
    """Give the command line that tells how a unit ended."""
    return [SYSTEMCTL, "show", "--property=Result,ExecStart", unit]


def outcome(shown: str, limit: float) -> str | None:
    """Say in words how a unit failed, out of what `show` prints; None where it does not tell."""
    fields = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    result = fields.get("Result", "")
    if result == "timeout":
        return f"did not end within {limit:g} s and was killed"
    found = _STATUS.search(fields.get("ExecStart", ""))
    if found and found[1] == "exited" and int(found[2]):
        return f"ended with status {found[2]}"
    if found and found[1] in ("killed", "dumped"):
        return f"was ended by {_signal(int(found[2]))}"
    return f"failed ({result})" if result not in ("", "success") else None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def unit_in(cgroup: str) -> str | None:
    """Give the service that a process belongs to, out of its /proc/PID/cgroup."""
    for line in cgroup.splitlines():
        for part in reversed(line.rpartition(":")[2].split("/")):
            if part.endswith(".service"):
                return part
    return None
