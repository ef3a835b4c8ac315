# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timeouts, sync daemons and zeroing as the ipvsadm commands that people know.

Private to this collection. Pure. Services and servers have theirs in module_utils/ipvs/ipvsadm.py.
"""

from __future__ import annotations

from ..ipvs.ipvsadm import operation_lines
from ..ipvs.model import Service
from ..ipvs.plan import Kind, Operation
from ..ipvs.settings import (
    SYNC_GROUP,
    SYNC_PORT,
    SYNC_TTL,
    Control,
    Daemon,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Zero,
)


def control_line(control: Control) -> str:
    """One command; what ipvsadm does by itself is left out."""
    if isinstance(control, SetTimeouts):
        return "ipvsadm --set " + " ".join(str(seconds) for seconds in control.timeouts)
    if isinstance(control, StopDaemon):
        return f"ipvsadm --stop-daemon {control.role}"
    if isinstance(control, StartDaemon):
        return f"ipvsadm --start-daemon {_daemon(control.daemon)}"
    if isinstance(control, Zero):
        return f"ipvsadm -Z{_key(control)}"
    return "ipvsadm -C"


def _key(zero: Zero) -> str:
    if zero.service is None:
        return ""
    service = Service(zero.service)
    (line,) = operation_lines([Operation(Kind.DELETE_SERVICE, zero.service, service, None)], "")
    return line[len("-D") :]


def _daemon(daemon: Daemon) -> str:
    words = [str(daemon.role), "--mcast-interface", daemon.interface]
    words += ["--syncid", str(daemon.syncid)]
    if daemon.maxlen:
        words += ["--sync-maxlen", str(daemon.maxlen)]
    if daemon.group != SYNC_GROUP:
        words += ["--mcast-group", daemon.group]
    if daemon.port != SYNC_PORT:
        words += ["--mcast-port", str(daemon.port)]
    if daemon.ttl != SYNC_TTL:
        words += ["--mcast-ttl", str(daemon.ttl)]
    return " ".join(words)
