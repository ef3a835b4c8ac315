# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document means: sections of effective values, and their canonical text.

read() turns a Document into a Config and says which values it cannot read; write() is the way
back. What one directive alone cannot tell is check.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .checks import INHERITED
from .directives import (
    FAILOVER,
    GLOBAL,
    GLOBAL_TABLE,
    SERVER,
    SERVER_TABLE,
    TABLES,
    VIRTUAL,
    VIRTUAL_TABLE,
    Directive,
    Table,
)
from .document import ASSIGNMENT, INDENT, Block, Document, Line, header
from .findings import NOWHERE, Finding, Place, did_you_mean, finding, nearest
from .marks import AUTO, NONE, own_mark
from .values import (
    IPV4_BITS,
    IPV6_BITS,
    NO_ADDRESS,
    AddressDevice,
    BadValue,
    Read,
    Value,
    is_ipv6,
    read_value,
    write_value,
)

# Address directive -> the mask that a prefix length behind the address sets.
MASK_OF = {"address": "vip_nmask", "nat_router": "nat_nmask"}


class Origin(Protocol):
    """Where a section came from, so that findings can point there."""

    def locate(self, key: str, index: int = -1) -> Place:
        """The place of a directive (or of one of its values), or of the section."""


class Section(Mapping[str, Value]):
    """The directives of one block with their effective values.

    A value is, in this order: derived from other directives, as written, the default. Two
    sections are equal if they mean the same, however they were written.
    """

    __slots__ = ("derived", "origin", "table", "written")

    def __init__(
        self,
        table: Table,
        written: dict[str, Value] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.table = table
        self.written: dict[str, Value] = {} if written is None else written
        self.derived: Mapping[str, Value] = {}
        self.origin = origin

    def __getitem__(self, key: str) -> Value:
        if key in self.derived:
            return self.derived[key]
        if key in self.written:
            return self.written[key]
        return self.table.defaults[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.rows)

    def __len__(self) -> int:
        return len(self.table.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Section):
            return NotImplemented
        return self.table is other.table and self.effective() == other.effective()

    __hash__ = None  # type: ignore[assignment]  # mutable, as a dict is

    def __repr__(self) -> str:
        return f"Section({self.table.where}, {self.written!r})"

    def effective(self) -> dict[str, Value]:
        """All directives and their effective values, as one dict of its own."""
        return {**self.table.defaults, **self.written, **self.derived}

    def given(self, key: str) -> bool:
        """Whether the directive is written in the file."""
        return key in self.written

    def text(self, key: str) -> str | None:
        """A text, choice, path, host name or address; None if unset."""
        value = self[key]
        if isinstance(value, AddressDevice):
            return value.address
        return None if value is None else str(value)

    def number(self, key: str) -> int | None:
        """A whole number, switch or port; None if unset."""
        value = self[key]
        if value is None or isinstance(value, int):
            return value
        raise TypeError(f"{key} is not a whole number")

    def flag(self, key: str) -> bool:
        """A switch; unset is off."""
        return bool(self[key])

    def seconds(self, key: str) -> float | None:
        """A time in seconds; None if unset."""
        value = self[key]
        if value is None or isinstance(value, (int, float)):
            return value
        raise TypeError(f"{key} is not a time")

    def address(self, key: str) -> AddressDevice | None:
        """An address or host name, with its device where the directive takes one."""
        value = self[key]
        if value is None or isinstance(value, AddressDevice):
            return value
        if isinstance(value, str):
            return AddressDevice(value)
        raise TypeError(f"{key} is not an address")

    def words(self, key: str) -> tuple[str | int, ...]:
        """The elements of a list; none if unset."""
        value = self[key]
        return value if isinstance(value, tuple) and not isinstance(value, AddressDevice) else ()

    def prefix(self, key: str) -> int | None:
        """The length of a netmask in bits; None if unset."""
        return self.number(key)

    def place(self, key: str = "", index: int = -1) -> Place:
        """Where a finding about this directive, or about the section, points to."""
        return self.origin.locate(key, index) if self.origin is not None else NOWHERE


@dataclass
class Server:
    """One real server."""

    __slots__ = ("name", "settings")
    name: str
    settings: Section


@dataclass
class Virtual:
    """One virtual server with its real servers."""

    name: str
    settings: Section
    servers: list[Server] = field(default_factory=list)


@dataclass
class Failover(Virtual):
    """One failover service. It takes what a virtual server takes; its servers are unused."""


@dataclass
class Config:
    """A whole configuration."""

    globals: Section = field(default_factory=lambda: Section(GLOBAL_TABLE))
    virtual: list[Virtual] = field(default_factory=list)
    failover: list[Failover] = field(default_factory=list)

    def in_use(self) -> list[Virtual]:
        """The blocks of the kind that `service` picks, inactive ones included."""
        return list(self.failover) if self.globals["service"] == "fos" else self.virtual

    def active(self) -> list[Virtual]:
        """The blocks in use that are switched on."""
        return [block for block in self.in_use() if block.settings.flag("active")]

    def blocks(self) -> list[tuple[str, Virtual]]:
        """All virtual servers, then all failover services, each with its kind."""
        kinds: list[tuple[str, Virtual]] = [(VIRTUAL, block) for block in self.virtual]
        kinds.extend((FAILOVER, block) for block in self.failover)
        return kinds


def service_ports(settings: Section) -> tuple[int, ...]:
    """The ports of a virtual server: those of `ports`, or the one of `port`."""
    listed = tuple(port for port in settings.words("ports") if isinstance(port, int))
    port = settings.number("port")
    return listed or (() if port is None else (port,))


def marked(config: Config) -> list[Virtual]:
    """The active virtual servers whose packets the agent has to mark."""
    if config.globals["service"] != "lvs":
        return []
    return [
        block
        for block in config.active()
        if block.settings.number("fwmark") and block.settings["marking"] == AUTO
    ]


def derive(config: Config) -> Config:
    """Fill in the values that follow from other directives; call it after every change.

    The rules: without primary_private both private addresses are the public ones; without a
    backup there is no active backup, and then a deadtime of 0 is the default; `forward` follows
    `network` and `port` the first of `ports`; a server's port and its way of being checked follow
    its virtual server's; without pmask each client is its own; persistence over several ports has
    a firewall mark, for which the agent marks packets.
    """
    derive_globals(config)
    for _kind, block in config.blocks():
        derive_block(block, config.globals["network"])
    return config


def derive_globals(config: Config) -> None:
    """derive()'s part about the directives outside of blocks."""
    globals_ = config.globals
    globals_.derived = {}
    derived: dict[str, Value] = {}
    if globals_["primary_private"] is None:
        derived["primary_private"] = globals_["primary"]
        derived["backup_private"] = globals_["backup"]
    elif globals_["backup_private"] is None:
        derived["backup_private"] = globals_["backup"]
    if globals_["backup"] in (None, NO_ADDRESS):
        derived["backup_active"] = 0
    if globals_.written.get("deadtime") == 0 and not derived.get(
        "backup_active", globals_["backup_active"]
    ):
        derived["deadtime"] = GLOBAL_TABLE.defaults["deadtime"]
    globals_.derived = derived


def derive_block(block: Virtual, network: Value) -> None:
    """derive()'s part about one block. network: the effective value of that directive."""
    settings = block.settings
    settings.derived = {}
    derived: dict[str, Value] = {}
    if settings["forward"] is None:
        derived["forward"] = network
    if "ports" in settings.written and "port" not in settings.written:
        derived["port"] = service_ports(settings)[0]
    if settings["pmask"] is None:
        address = settings.address("address")
        derived["pmask"] = IPV6_BITS if address and is_ipv6(address.address) else IPV4_BITS
    mark = None if isinstance(block, Failover) else _mark(settings)
    if mark is not None:
        derived["fwmark"] = mark
    if settings["marking"] is None:
        derived["marking"] = NONE if mark is None else AUTO
    settings.derived = derived
    common: dict[str, Value] = {
        key: settings[key] for key in ("port", "load_processors", *INHERITED)
    }
    for server in block.servers:
        written = server.settings.written
        # One mapping for all servers that change nothing: there may be thousands.
        server.settings.derived = (
            common
            if common.keys().isdisjoint(written)
            else {key: value for key, value in common.items() if key not in written}
        )


def _mark(settings: Section) -> int | None:
    """The mark that a virtual server needs and that nobody wrote; None where it needs none."""
    ports, address = service_ports(settings), settings.text("address")
    needs = len(ports) > 1 and settings.number("persistent") and address is not None
    if not needs or settings.number("fwmark"):
        return None
    return own_mark(str(address), str(settings["protocol"]), ports)


def read(document: Document) -> tuple[Config, list[Finding]]:
    """What a document means, and what in its values cannot be read.

    A value that cannot be read counts as not written, so that the rest can still be checked.
    """
    return SectionReader().run(document)


class SectionReader:
    """One run over a document; the cache makes equal lines cost next to nothing."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.cache: dict[tuple[Directive, tuple[str, ...]], Value] = {}

    def run(self, document: Document) -> tuple[Config, list[Finding]]:
        root = document.root
        config = Config(self.section(root, GLOBAL_TABLE))
        for item in root.items:
            if not isinstance(item, Block):
                continue
            if item.kind == VIRTUAL:
                config.virtual.append(Virtual(*self.block(item)))
            elif item.kind == FAILOVER:
                config.failover.append(Failover(*self.block(item)))
            elif item.kind == SERVER:  # out of place; the parser has said so
                self.section(item, SERVER_TABLE)
        return derive(config), self.findings

    def block(self, block: Block) -> tuple[str, Section, list[Server]]:
        settings = self.section(block, VIRTUAL_TABLE)
        servers = []
        for item in block.items:
            if isinstance(item, Block) and item.kind == SERVER:
                servers.append(Server(item.name, self.section(item, SERVER_TABLE)))
        self.port_behind_servers(block, settings)
        return block.name, settings, servers

    def section(self, block: Block, table: Table) -> Section:
        written: dict[str, Value] = {}
        prefixes: dict[str, int] = {}
        rows, cache = table.rows, self.cache
        for item in block.items:
            if not isinstance(item, Line) or item.kind != ASSIGNMENT:
                continue
            key = item.key
            row = rows.get(key)
            if row is None:
                self.unknown(item, block.kind)
                continue
            if key in written:
                message = f"`{key}` is written twice in this block; the last one counts"
                self.findings.append(finding("W201", item.place(), message, "remove the other one"))
            cached = (row, item.args)
            if cached in cache:
                written[key] = cache[cached]
                continue
            value = self.value(item, row)
            if value is None:
                continue
            written[key] = value.value
            if value.prefix is not None:
                prefixes[MASK_OF[key]] = value.prefix
            elif not value.notes:
                cache[cached] = value.value
        for key, prefix in prefixes.items():
            written.setdefault(key, prefix)
            if written[key] != prefix:
                message = f"`{key}` and the prefix length /{prefix} of the address differ"
                place = block.locate(key)
                self.findings.append(finding("W202", place, message, f"`{key}` counts"))
        return Section(table, written, block)

    def value(self, line: Line, row: Directive) -> Read | None:
        """Read one assignment; None if it cannot be read, which is then in the findings."""
        try:
            value = read_value(row, line.args)
        except BadValue as bad:
            code, message, remedy = bad.code, bad.message, bad.remedy
            if row.lenient:
                code, message = "W202", f"{message}; the line is ignored"
            self.findings.append(finding(code, line.place(bad.index), message, remedy))
            return None
        for note in value.notes:
            self.findings.append(finding(note.code, line.place(0), note.message, note.remedy))
        return value

    def unknown(self, line: Line, kind: str) -> None:
        self.findings.append(unknown_directive(line.key, kind, line.place()))

    def port_behind_servers(self, block: Block, settings: Section) -> None:
        """A server in front of the `port` line got port 80 in the original."""
        if settings["port"] == VIRTUAL_TABLE.defaults["port"]:
            return
        waiting: list[Block] = []
        for item in block.items:
            if isinstance(item, Block):
                if item.kind == SERVER and item.find("port") is None:
                    waiting.append(item)
            elif item.kind == ASSIGNMENT and item.key == "port":
                for server in waiting:
                    message = f"server {server.name} stands in front of `port`"
                    message += "; the original gave it port 80, here it follows the virtual server"
                    remedy = "move `port` above the servers"
                    self.findings.append(finding("W203", server.locate(""), message, remedy))
                waiting = []


def unknown_directive(key: str, kind: str, place: Place) -> Finding:
    """The finding for a directive that the block does not know."""
    for name, row in TABLES[kind].rows.items() if kind in TABLES else ():
        if key in row.known_as:
            message = f"unknown directive `{key}`"
            return finding("E201", place, message, f"it is called `{name}` here")
    elsewhere = [
        other for other in (GLOBAL, VIRTUAL, SERVER) if other != kind and key in TABLES[other].rows
    ]
    if elsewhere:
        here = "at the top level" if kind == GLOBAL else f"in a {kind} block"
        there = "at the top level" if elsewhere[0] == GLOBAL else f"in a {elsewhere[0]} block"
        message = f"directive `{key}` does not belong {here}"
        remedy = f"it belongs {there}" + ("; is a `}` missing above?" if kind != GLOBAL else "")
        return finding("E202", place, message, remedy)
    remedy = did_you_mean(key, TABLES[kind].rows if kind in TABLES else ())
    for other in (GLOBAL, VIRTUAL, SERVER):
        near = nearest(key, TABLES[other].rows)
        if near and not remedy:
            where = "stands at the top level" if other == GLOBAL else f"belongs in a {other} block"
            remedy = f"did you mean `{near}`, which {where}?"
    return finding("E201", place, f"unknown directive `{key}`", remedy)


def write(config: Config, comment: Iterable[str] = ()) -> str:
    """The canonical text of a configuration: what was given, in the table's order.

    `comment` are lines for the top, without `#`. ValueError for a name or text that the file
    cannot hold; data.py refuses those beforehand.
    """
    lines = [f"# {line}".rstrip() for line in comment]
    if lines:
        lines.append("")
    return "".join([*(f"{line}\n" for line in lines), *written(config)])


def written(config: Config) -> Iterator[str]:
    """The canonical text in portions: what stands outside of blocks, and each block."""
    lines: list[str] = []
    _write_section(lines, config.globals, "")
    for kind, block in config.blocks():
        yield "".join(f"{line}\n" for line in lines)
        lines = ["", header("", kind, block.name)]
        _write_section(lines, block.settings, INDENT)
        for server in block.servers:
            lines.append("")
            lines.append(header(INDENT, SERVER, server.name))
            _write_section(lines, server.settings, INDENT * 2)
            lines.append(INDENT + "}")
        lines.append("}")
    yield "".join(f"{line}\n" for line in lines)


def _write_section(lines: list[str], section: Section, indent: str) -> None:
    written = section.written
    if not written:
        return
    for key, row in section.table.rows.items():
        value = written.get(key)
        if value is None:
            continue
        words = write_value(row, value, _mask_is_ipv6(section, key))
        lines.append(f"{indent}{key} = {words}")


def _mask_is_ipv6(section: Section, key: str) -> bool:
    """Whether a mask goes with an IPv6 address and so is written as a prefix length."""
    if not key.endswith("mask"):
        return False
    address = section.address("nat_router" if key == "nat_nmask" else "address")
    return address is not None and is_ipv6(address.address)
