# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms of the page, made from the table of directives: which field stands where, and its help.

Pure. The table says what there is and what each takes; here stands only in which group people look
for it. A directive that no group names comes into the last group of its page, so a new row of the
table is on the page without a word here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from piranha.core.lvs_cf import directives as d
from piranha.core.lvs_cf.document import Block, Document
from piranha.core.lvs_cf.explain import KINDS_OF_BLOCK, directives_of, example, takes
from piranha.core.lvs_cf.findings import Finding
from piranha.core.lvs_cf.row import Directive
from piranha.core.lvs_cf.values import write_value
from piranha.editing.guard import guarded

from .edits import clean, shown

Groups = tuple[tuple[str, tuple[str, ...]], ...]

SETTINGS: Groups = (
    ("Routers", ("service", "primary", "primary_private", "primary_links")),
    ("Forwarding", ("network", "nat_router", "nat_nmask")),
    ("Timeouts of connections", ("tcp_timeout", "tcpfin_timeout", "udp_timeout")),
    (
        "Commands at changes of state",
        ("active_cmd", "inactive_cmd", "fault_cmd", "notify_cmd", "cmd_timeout", "rsh_command"),
    ),
)
REDUNDANCY: Groups = (
    ("Backup router", ("backup_active", "backup", "backup_private", "backup_links")),
    (
        "Heartbeat",
        ("keepalive", "deadtime", "heartbeat_port", "heartbeat_key_file", "start_delay"),
    ),
    ("Takeover", ("preempt", "preempt_delay", "failover_on", "monitor_links")),
    ("Connection synchronisation", ("syncdaemon", "syncd_iface", "syncd_id")),
)
VIRTUAL: Groups = (
    (
        "Service",
        ("active", "address", "vip_nmask", "port", "protocol", "ports", "fwmark", "marking"),
    ),
    (
        "Balancing",
        ("scheduler", "scheduler_flags", "forward", "persistent", "pmask", "persistence_engine"),
    ),
    (
        "When servers fail",
        ("sorry_server", "quiesce_server", "quorum", "fail_open", "slow_start"),
    ),
    ("Load", ("load_monitor", "load_interval", "load_timeout", "load_processors")),
    ("Tunnels and datagrams", ("tunnel_type", "tunnel_port", "tunnel_checksum", "ops")),
)
MONITORING: Groups = (
    ("What is checked", ("check", "check_via", "check_address", "check_port")),
    ("Send and expect", ("send", "expect", "use_regex", "send_program")),
    (
        "Times",
        (
            *("timeout", "reentry", "rise", "fall"),
            *("check_interval", "check_fast_interval", "check_timeout"),
        ),
    ),
)
FAILOVER: Groups = (
    ("Service", ("active", "address", "vip_nmask", "port", "protocol", "critical")),
    ("Commands", ("start_cmd", "stop_cmd", "start_timeout", "stop_timeout")),
    ("Restarts", ("max_restarts", "restart_interval")),
)
SERVER: Groups = (
    ("Server", ("active", "address", "port", "weight")),
    ("Limits", ("upper_threshold", "lower_threshold", "load_processors")),
)
REST, UNUSED = "More", "Kept for Piranha, without effect"
CHECKS = "Details of the check"


@dataclass(frozen=True)
class Option:
    """One choice of a field."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True)
class Field:
    """One field: everything that a template shows of it."""

    name: str
    help: str
    takes: str
    default: str
    example: str
    value: str
    widget: str  # text, choice, switch, or fixed: it is shown, not changed
    options: tuple[Option, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()  # severity, sentence
    extended: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Group:
    """Fields that belong together. quiet: closed until somebody opens it."""

    title: str
    fields: tuple[Field, ...]
    quiet: bool = False


@dataclass(frozen=True)
class Programs:
    """What may be chosen where a directive names a program, and the folder they are in."""

    paths: tuple[str, ...] = ()
    folder: str = ""


@dataclass(frozen=True)
class Filled:
    """What was typed into a form and could not be taken, to be shown again with the reasons."""

    values: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)


NOTHING_FILLED = Filled()


def form(
    kind: str,
    page: str,
    block: Block | None,
    *,
    findings: Mapping[str, Sequence[Finding]] | None = None,
    programs: Programs | None = None,
    filled: Filled = NOTHING_FILLED,
    editable: bool = True,
) -> list[Group]:
    """Give the groups of one page of fields.

    page: one of PAGES. block: whose values are shown; None: a new one. findings: by directive.
    filled: goes before the block's values. editable: False shows every field as it is.
    """
    rows = {row.name: row for row in directives_of(kind)}
    made = []
    for title, names in layout(kind)[page]:
        fields = tuple(
            _field(rows[name], block, findings or {}, programs or Programs(), filled, editable)
            for name in names
        )
        quiet = title in (REST, UNUSED) or (title in QUIET and all(not one.value for one in fields))
        loud = any(one.findings for one in fields)
        if fields:
            made.append(Group(title, fields, quiet and not loud))
    return made


QUIET = frozenset(
    {"Load", "Tunnels and datagrams", "Limits", CHECKS, "Commands at changes of state"}
)
"""Groups that few people need: they begin closed where nothing in them is set."""

PAGES = {
    d.GLOBAL: ("settings", "redundancy"),
    d.VIRTUAL: ("service", "monitoring"),
    d.FAILOVER: ("service", "monitoring"),
    d.SERVER: ("server",),
}


def layout(kind: str) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Give page -> groups with the names of all directives of a kind, each exactly once."""
    pages: dict[str, Groups] = {
        d.GLOBAL: {"settings": SETTINGS, "redundancy": REDUNDANCY},
        d.VIRTUAL: {"service": VIRTUAL, "monitoring": MONITORING},
        d.FAILOVER: {"service": FAILOVER, "monitoring": MONITORING},
        d.SERVER: {"server": SERVER},
    }[kind]
    rows = {row.name: row for row in directives_of(kind)}
    left = dict(rows)
    made: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for page, groups in pages.items():
        made[page] = []
        for title, names in groups:
            known = tuple(name for name in names if left.pop(name, None) is not None)
            made[page].append((title, known))
    checks = tuple(name for name in left if name == "check" or name.startswith("check_"))
    unused = tuple(name for name, row in left.items() if row.unused and name not in checks)
    rest = tuple(name for name in left if name not in (*checks, *unused))
    first, last = next(iter(made)), next(reversed(made))
    made[last].append((CHECKS, checks))
    made[first].append((REST, rest))
    made[first].append((UNUSED, unused))
    return {page: [one for one in groups if one[1]] for page, groups in made.items()}


def page_names(kind: str, page: str) -> tuple[str, ...]:
    """Give the directives on one page of a kind of block."""
    return tuple(name for _title, names in layout(kind)[page] for name in names)


def settable(kind: str, page: str) -> tuple[str, ...]:
    """Give the directives that a form of that page may set. serial_no is counted, not typed."""
    return tuple(name for name in page_names(kind, page) if name != "serial_no")


def _field(
    row: Directive,
    block: Block | None,
    findings: Mapping[str, Sequence[Finding]],
    programs: Programs,
    filled: Filled,
    editable: bool,
) -> Field:
    value = filled.values.get(row.name, clean(shown(block, row)))
    told = [(one.severity, one.sentence()) for one in findings.get(row.name, ())]
    fault = filled.faults.get(row.name)
    if fault is not None:
        told = [("error", fault)]
    widget, options = _widget(row, value, programs)
    if not editable or row.name == "serial_no":
        widget = "fixed"
    default = "" if row.default is None else write_value(row, row.default)
    return Field(
        name=row.name,
        help=row.doc,
        takes=takes(row).replace("`", ""),
        default=default,
        example=example(row),
        value=value,
        widget=widget,
        options=options,
        findings=tuple(told),
        extended=row.dialect == d.EXTENDED,
        wide=row.kind in (d.QUOTED, d.ESCAPED, d.LIST),
    )


def _widget(row: Directive, value: str, programs: Programs) -> tuple[str, tuple[Option, ...]]:
    if guarded(row):
        values = choices(row, programs)
        return ("choice", _options(values, value, row)) if values else ("fixed", ())
    if row.kind == d.SWITCH:
        return "choice", _options(("0", "1"), value, row, {"0": "0, no", "1": "1, yes"})
    if row.kind == d.CHOICE:
        return "choice", _options(row.choices, value, row)
    return "text", ()


def choices(row: Directive, programs: Programs) -> tuple[str, ...]:
    """Give what a guarded directive may be set to."""
    if row.kind == d.PATH:
        return ()
    words = LOAD_WORDS if row.name == "load_monitor" else ()
    paths = programs.paths
    if row.name == "send_program":
        paths = tuple(text for path in paths for text in (f"{path} %h %p", path))
    return tuple(dict.fromkeys((*words, *paths)))


def guard(
    kind: str, values: Sequence[tuple[str, str]], block: Block | None, programs: Programs
) -> list[tuple[str, str]]:
    """Say which values name a program or file that may not be chosen. The editor guards it too."""
    rows = {row.name: row for row in directives_of(kind)}
    found = []
    for key, text in values:
        row = rows[key]
        text = text.strip()
        if not guarded(row) or text in ("", clean(shown(block, row)), *choices(row, programs)):
            continue
        where = f"choose one of the programs in {programs.folder}" if programs.folder else "keep it"
        found.append((key, f"`{key}` may not be written freely here; {where}"))
    return found


LOAD_WORDS = ("none", "rup", "ruptime", "uptime")
"""What load_monitor takes beside a program."""


def _options(
    values: Sequence[str], value: str, row: Directive, labels: Mapping[str, str] | None = None
) -> tuple[Option, ...]:
    default = "unset" if row.default is None else write_value(row, row.default)
    named = labels or {}
    told = "not written" if row.default is None else f"not written ({named.get(default, default)})"
    made = [Option("", told, not value)]
    made += [Option(one, named.get(one, one), one == value) for one in values]
    if value and value not in values:
        made.append(Option(value, f"{value} (as it stands)", True))
    return tuple(made)


def findings_of(
    document: Document, block: Block, findings: Sequence[Finding]
) -> dict[str, list[Finding]]:
    """Sort findings by the directive of one block; those of its header stand below ''."""
    lines = {line.number: line.key for line in block.items if not isinstance(line, Block)}
    if block.open is not None:
        lines[block.open.number] = ""
    found: dict[str, list[Finding]] = {}
    for one in findings:
        if one.line in lines:
            found.setdefault(lines[one.line], []).append(one)
        elif not one.line and block.open is None:
            found.setdefault("", []).append(one)
    return found


def kinds() -> tuple[str, ...]:
    """Give the kinds of block that have forms."""
    return tuple(KINDS_OF_BLOCK)
