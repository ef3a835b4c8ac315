# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of directives for commands that the routers run: at a change of state, and fos.

Data only. Names are those that users of keepalived (`notify_master`), systemd (`TimeoutStopSec`)
and Red Hat's resource manager (`max_restarts`) would look for.
"""

from __future__ import annotations

from .row import (
    CLASSIC,
    EXTENDED,
    GLOBAL,
    NUMBER,
    QUOTED,
    SECONDS,
    SWITCH,
    TEXT,
    VIRTUAL,
    Directive,
)

_YEAR = 31536000


def _at(name: str, known_as: tuple[str, ...], doc: str, dialect: str) -> Directive:
    return Directive(
        GLOBAL, name, QUOTED, None, doc, dialect=dialect, known_as=known_as, runs=True
    )


def _limit(where: str, name: str, default: float, known_as: tuple[str, ...], doc: str) -> Directive:
    return Directive(
        where,
        name,
        SECONDS,
        default,
        doc,
        low=0.01,
        high=_YEAR,
        dialect=EXTENDED,
        known_as=known_as,
    )


GLOBAL_COMMANDS: tuple[Directive, ...] = (
    _at(
        "active_cmd",
        ("notify_master",),
        "Command run when this router becomes active; no shell.",
        CLASSIC,
    ),
    _at(
        "inactive_cmd",
        ("notify_backup", "notify_stop"),
        "Command run when this router becomes standby or stops; no shell.",
        CLASSIC,
    ),
    _at(
        "fault_cmd",
        ("notify_fault",),
        "Command run when this router cannot hold the addresses; inactive_cmd if unset.",
        EXTENDED,
    ),
    _at(
        "notify_cmd",
        ("notify", "hook"),
        "Command run after each change of this router's state, after the others; no shell.",
        EXTENDED,
    ),
    _limit(
        GLOBAL,
        "cmd_timeout",
        30,
        ("script_timeout", "notify_timeout"),
        "Time that each of these commands may take; then it is killed.",
    ),
)

FAILOVER_COMMANDS: tuple[Directive, ...] = (
    _limit(
        VIRTUAL,
        "start_timeout",
        60,
        ("TimeoutStartSec",),
        "Failover only: time within which start_cmd has ended and the first check succeeds.",
    ),
    _limit(
        VIRTUAL,
        "stop_timeout",
        30,
        ("TimeoutStopSec",),
        "Failover only: time within which stop_cmd has ended and the service is gone.",
    ),
    Directive(
        VIRTUAL,
        "max_restarts",
        NUMBER,
        1,
        "Failover only: how often a failed service is started again here before it fails over.",
        low=0,
        high=1000,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "restart_interval",
        SECONDS,
        60,
        "Failover only: time in which restarts are counted, and for which a router that failed is"
        " spared.",
        low=0.01,
        high=_YEAR,
        dialect=EXTENDED,
        known_as=("restart_expire_time",),
    ),
    Directive(
        VIRTUAL,
        "critical",
        SWITCH,
        1,
        "Failover only: 0 lets the service fail alone; the others do not move because of it.",
        low=0,
        high=1,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "failover_group",
        TEXT,
        None,
        "Failover only: services of the same group move together, whatever becomes of others."
        " Without it all services without a group move together.",
        dialect=EXTENDED,
        known_as=("group", "service_group", "resource_group", "vrrp_sync_group"),
    ),
)

MOST_GROUPS = 64
"""What a heartbeat has room for, and more than anybody could keep in mind."""
