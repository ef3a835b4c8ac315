# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every directive of lvs.cf, one row each: the single source of what the language knows.

Parser, checker, writer, module and reference page read this table. The rows about health checks
stand in checks.py, those about the partner in partner_rows.py; what a row is, in row.py. It holds
no logic: how a type is read and written is in values.py, what one directive means to another in
check.py and its like. Defaults and types are those of Piranha 0.8.6's parser, except for rows
marked extended.
"""

from __future__ import annotations

from typing import NamedTuple

from .checks import SERVER_CHECKS, VIRTUAL_CHECKS
from .command_rows import FAILOVER_COMMANDS, GLOBAL_COMMANDS
from .ipvs_rows import SERVER_IPVS, VIRTUAL_IPVS
from .partner_rows import PARTNER_ROWS
from .pool_rows import SERVER_POOL, VIRTUAL_POOL
from .row import (
    ADDRESS_DEVICE,
    CHOICE,
    CLASSIC,
    ESCAPED,
    EXTENDED,
    FAILOVER,
    GLOBAL,
    HOST,
    IP,
    LIST,
    MASK,
    NUMBER,
    PATH,
    PORT,
    QUOTED,
    SECONDS,
    SERVER,
    SWITCH,
    TEXT,
    VIRTUAL,
    WHOLE_SECONDS,
    Directive,
)
from .row_makers import YEAR as _YEAR
from .row_makers import command as _command
from .row_makers import kernel_timeout as _kernel_timeout
from .row_makers import links as _links
from .row_makers import number as _number
from .row_makers import port as _port
from .row_makers import seconds as _seconds
from .row_makers import switch as _switch
from .row_makers import unused as _unused

__all__ = [
    "ADDRESS_DEVICE",
    "CHOICE",
    "CLASSIC",
    "DIRECTIVES",
    "ESCAPED",
    "EXTENDED",
    "FAILOVER",
    "FORWARDS",
    "GLOBAL",
    "GLOBAL_TABLE",
    "HOST",
    "IP",
    "LIST",
    "MASK",
    "NUMBER",
    "PATH",
    "PORT",
    "QUOTED",
    "SCHEDULERS",
    "SCHEDULERS_CLASSIC",
    "SCHEDULERS_NEWER",
    "SECONDS",
    "SERVER",
    "SERVER_TABLE",
    "SWITCH",
    "TABLES",
    "TEXT",
    "VIRTUAL",
    "VIRTUAL_TABLE",
    "WHOLE_SECONDS",
    "Directive",
    "Table",
]

SCHEDULERS_CLASSIC = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh")
SCHEDULERS_NEWER = ("sed", "nq", "fo", "ovf", "mh", "twos")
SCHEDULERS = (*SCHEDULERS_CLASSIC, *SCHEDULERS_NEWER)
FORWARDS = ("nat", "direct", "tunnel")

_MARK_HIGH = 0xFFFFFFFF
_INT_LOW = -0x80000000  # of an int in C, for numbers that mean no more than 0 or not 0
_MONTH = 2678400  # ipvsadm's limit for persistence, well below the kernel's


_GLOBALS = (
    Directive(
        GLOBAL,
        "serial_no",
        NUMBER,
        0,
        "Counter that an editor raises when it saves; nothing acts on it.",
        low=_INT_LOW,
        high=_MARK_HIGH,
        unused=True,
    ),
    Directive(
        GLOBAL,
        "service",
        CHOICE,
        "lvs",
        "What the routers run: virtual servers (lvs) or failover services (fos).",
        choices=("lvs", "fos"),
    ),
    Directive(
        GLOBAL,
        "primary",
        HOST,
        None,
        "Public address of the primary router; the machine that has this address is the primary.",
    ),
    Directive(
        GLOBAL,
        "primary_private",
        HOST,
        None,
        "The primary's address on the second heartbeat path; the public address if unset.",
    ),
    _unused(
        GLOBAL,
        "primary_shared",
        TEXT,
        None,
        "Shared SCSI device as the primary names it; read and not used.",
    ),
    Directive(
        GLOBAL, "backup", HOST, None, "Public address of the backup router; 0.0.0.0 means none."
    ),
    _switch(
        GLOBAL, "backup_active", 0, "Whether there is a backup router to exchange heartbeats with."
    ),
    Directive(
        GLOBAL,
        "backup_private",
        HOST,
        None,
        "The backup's address on the second heartbeat path; counts only with primary_private.",
    ),
    _unused(
        GLOBAL,
        "backup_shared",
        TEXT,
        None,
        "Shared SCSI device as the backup names it; read and not used.",
    ),
    _links("primary", "The primary's addresses on further heartbeat paths, one for each path."),
    _links("backup", "The backup's addresses on the same paths, in the same order."),
    _switch(GLOBAL, "heartbeat", 0, "Read and not used; backup_active decides.", unused=True),
    _port(
        GLOBAL, "heartbeat_port", 539, 1, "UDP port of the heartbeats, the same on both routers."
    ),
    _seconds(GLOBAL, "keepalive", 2, 0.01, "Time between two heartbeats."),
    _seconds(
        GLOBAL,
        "deadtime",
        5,
        0,
        "Silence after which the partner counts as dead; must be above keepalive.",
    ),
    *PARTNER_ROWS,
    Directive(
        GLOBAL,
        "rsh_command",
        TEXT,
        "ssh",
        "Program that runs uptime on a real server for load_monitor = uptime (originally rsh).",
        runs=True,
    ),
    Directive(
        GLOBAL,
        "network",
        CHOICE,
        "nat",
        "Forwarding method of all virtual servers that do not set forward.",
        choices=FORWARDS,
    ),
    Directive(
        GLOBAL,
        "nat_router",
        ADDRESS_DEVICE,
        None,
        "Floating gateway address of the real servers, and its device; only with NAT.",
    ),
    Directive(GLOBAL, "nat_nmask", MASK, None, "Netmask of nat_router."),
    Directive(
        GLOBAL,
        "reservation_conflict_action",
        CHOICE,
        None,
        "What to do about a conflict on a shared SCSI device; read and not used.",
        choices=("nothing", "preempt"),
        unused=True,
    ),
    _unused(GLOBAL, "debug_level", TEXT, "NONE", "Read and not used."),
    _unused(
        GLOBAL,
        "ipvsadm",
        TEXT,
        "/sbin/ipvsadm",
        "Path of ipvsadm; read and not used, the table is written through netlink.",
        runs=True,
    ),
    _switch(GLOBAL, "sync", 0, "Read and not used.", unused=True),
    _number(
        GLOBAL,
        "monitor_links",
        0,
        (_INT_LOW, _MARK_HIGH),
        "1 stands back for the partner while an interface of the virtual addresses has no link.",
    ),
    _switch(GLOBAL, "syncdaemon", 0, "Run the kernel's connection synchronisation daemon."),
    Directive(
        GLOBAL, "syncd_iface", TEXT, "eth0", "Multicast interface of the synchronisation daemon."
    ),
    _number(GLOBAL, "syncd_id", 0, (0, 255), "Group number of the synchronisation daemon."),
    _kernel_timeout("tcp_timeout", "Kernel timeout of idle TCP connections; 0 leaves it as it is."),
    _kernel_timeout(
        "tcpfin_timeout", "Kernel timeout of TCP connections after FIN; 0 leaves it as it is."
    ),
    _kernel_timeout("udp_timeout", "Kernel timeout of UDP exchanges; 0 leaves it as it is."),
    *GLOBAL_COMMANDS,
    _switch(
        GLOBAL,
        "hard_shutdown",
        1,
        "Read and not used; a failed check engine is restarted.",
        unused=True,
    ),
)

_VIRTUALS = (
    _switch(VIRTUAL, "active", 0, "1 puts the block into service; 0 skips it everywhere."),
    Directive(
        VIRTUAL, "address", ADDRESS_DEVICE, None, "Virtual address, and the device that carries it."
    ),
    Directive(VIRTUAL, "vip_nmask", MASK, None, "Netmask of the virtual address."),
    Directive(
        VIRTUAL, "sorry_server", IP, None, "Real server of last resort, used when no other is up."
    ),
    _number(
        VIRTUAL,
        "fwmark",
        0,
        (0, _MARK_HIGH),
        "Firewall mark that makes the service instead of address and port; 0 is none.",
    ),
    Directive(
        VIRTUAL,
        "forward",
        CHOICE,
        None,
        "Forwarding method of this virtual server; the global network if unset.",
        choices=FORWARDS,
        known_as=("lvs_method", "lb_kind"),
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "protocol",
        CHOICE,
        "tcp",
        "Protocol of the service and of its check.",
        choices=("tcp", "udp", "sctp"),
        newer=("sctp",),
    ),
    _port(
        VIRTUAL,
        "port",
        80,
        0,
        "Port of the service, by number or name; 0 is every port, with persistence only.",
    ),
    Directive(
        VIRTUAL,
        "scheduler",
        CHOICE,
        "wlc",
        "How the kernel picks a real server.",
        choices=SCHEDULERS,
        newer=SCHEDULERS_NEWER,
        known_as=("lvs_sched", "lb_algo", "balance"),
        aliases={"pcc": "lc"},
    ),
    Directive(
        VIRTUAL,
        "persistent",
        WHOLE_SECONDS,
        0,
        "How long a client stays with its real server; 0 is off.",
        low=0,
        high=_MONTH,
        known_as=("persistence_timeout",),
    ),
    Directive(
        VIRTUAL,
        "pmask",
        MASK,
        None,
        "Netmask that groups clients for persistence; unset, each client is its own.",
        lenient=True,
        known_as=("persistence_granularity", "netmask"),
    ),
    _unused(
        VIRTUAL,
        "client_monitor",
        TEXT,
        "/usr/sbin/nanny",
        "Program that checked real servers; read and not used.",
        runs=True,
    ),
    Directive(
        VIRTUAL,
        "send",
        ESCAPED,
        None,
        "Text sent after connecting; knows the escapes \\r \\n \\t \\' \\\" \\\\.",
    ),
    Directive(VIRTUAL, "expect", ESCAPED, None, "Text the answer must begin with; * is anything."),
    _command(
        VIRTUAL,
        "send_program",
        "Program that checks instead of send; %h and %p become address and port.",
    ),
    _switch(VIRTUAL, "use_regex", 0, "Read expect as a regular expression."),
    _seconds(
        VIRTUAL,
        "timeout",
        10,
        0.01,
        "Time between two checks; a whole check must end within it (originally each step of one).",
    ),
    Directive(
        VIRTUAL,
        "reentry",
        SECONDS,
        180,
        "How long a failed server must answer before it returns; 0 means 180.",
        low=0.01,
        high=_YEAR,
        aliases={"0": "180"},
    ),
    Directive(
        VIRTUAL,
        "rise",
        NUMBER,
        None,
        "Good checks in a row after which a server returns; reentry decides if unset.",
        low=1,
        high=1000,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "fall",
        NUMBER,
        1,
        "Failed checks in a row after which a server leaves.",
        low=1,
        high=1000,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "load_monitor",
        TEXT,
        None,
        "How to ask a real server for its load: none, rup, ruptime, uptime or a command.",
        runs=True,
    ),
    _switch(VIRTUAL, "quiesce_server", 0, "Give a failed server weight 0 instead of removing it."),
    _command(VIRTUAL, "start_cmd", "Failover only: command that starts the service; no shell."),
    _command(VIRTUAL, "stop_cmd", "Failover only: command that stops the service; no shell."),
    _unused(VIRTUAL, "master", HOST, None, "Read and not used."),
    _unused(VIRTUAL, "dirs", LIST, None, "Read and not used."),
)

_SERVERS = (
    Directive(SERVER, "address", HOST, None, "Address of the real server."),
    _switch(SERVER, "active", 0, "1 puts the server into service; 0 leaves it out."),
    _number(
        SERVER,
        "weight",
        1,
        (0, 65535),
        "Share of the load, relative to the others; 0 is no new connections.",
    ),
    _port(SERVER, "port", None, 0, "Port on the real server; the virtual server's if unset."),
)

DIRECTIVES: tuple[Directive, ...] = (
    *_GLOBALS,
    *_VIRTUALS,
    *VIRTUAL_IPVS,
    *VIRTUAL_CHECKS,
    *VIRTUAL_POOL,
    *FAILOVER_COMMANDS,
    *_SERVERS,
    *SERVER_IPVS,
    *SERVER_CHECKS,
    *SERVER_POOL,
)


class Table(NamedTuple):
    """The directives of one kind of block, and their defaults."""

    where: str
    rows: dict[str, Directive]
    defaults: dict[str, int | float | str | None]


def _table(where: str) -> Table:
    rows = {row.name: row for row in DIRECTIVES if row.where == where}
    return Table(where, rows, {name: row.default for name, row in rows.items()})


GLOBAL_TABLE = _table(GLOBAL)
VIRTUAL_TABLE = _table(VIRTUAL)
SERVER_TABLE = _table(SERVER)

# Kind of block -> what may stand in it; a failover block takes what a virtual one takes.
TABLES: dict[str, Table] = {
    GLOBAL: GLOBAL_TABLE,
    VIRTUAL: VIRTUAL_TABLE,
    FAILOVER: VIRTUAL_TABLE,
    SERVER: SERVER_TABLE,
}
