# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration as plain data: what JSON and YAML can hold.

    {"global": {...}, "virtual": [{"name": ..., ..., "servers": [{"name": ..., ...}]}],
     "failover": [...]}

Keys are named as the directives. A virtual server's address and device stand beside each other
as `address` and `device`; nat_router is a mapping of both. from_data() also takes the names that
playbooks use: globals, virtual_servers, failover_services, real_servers. Every value goes through
the same readers as a value in the file, so that data and text obey the same rules.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from . import directives as d
from .check import check
from .config import (
    MASK_OF,
    Config,
    Failover,
    Section,
    Server,
    Virtual,
    derive,
    unknown_directive,
)
from .directives import (
    FAILOVER,
    GLOBAL,
    GLOBAL_TABLE,
    SERVER,
    SERVER_TABLE,
    VIRTUAL,
    VIRTUAL_TABLE,
    Directive,
    Table,
)
from .document import header
from .findings import ERROR, Finding, Place, did_you_mean, finding
from .lexer import quoted
from .values import AddressDevice, BadValue, Value, escape, is_ipv6, mask_text, read_value

# Part of a configuration -> the names it may have in data; the first is the one written.
NAMES = {
    GLOBAL: ("global", "globals"),
    VIRTUAL: ("virtual", "virtual_servers"),
    FAILOVER: ("failover", "failover_services"),
    SERVER: ("servers", "real_servers"),
}
NOT_MEANING = ("serial_no",)  # a counter of saves, which says nothing about the cluster

Data = dict[str, object]


class Built(NamedTuple):
    """A configuration made of data, and everything that is to be said about it."""

    config: Config
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        """The findings that forbid using the configuration."""
        return [found for found in self.findings if found.severity == ERROR]

    def report(self) -> list[str]:
        """The findings, one line each, with their paths in the data."""
        return [found.format() for found in self.findings]


class Path:
    """Where in the data a section stands; findings point there."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def locate(self, key: str, index: int = -1) -> Place:
        """The path of a key, or of the section itself."""
        return Place(path=f"{self.path}.{key}" if key else self.path)


def from_data(data: Mapping[str, object]) -> Built:
    """Make a configuration of data. Never fails; what is wrong stands in the findings."""
    config, findings = read_data(data)
    return Built(config, findings + check(config))


def read_data(data: Mapping[str, object]) -> Built:
    """Make a configuration of data that may be a part of one: each value is read, the whole is
    not checked.
    """
    builder = _Builder()
    return Built(builder.run(data), builder.findings)


def to_data(config: Config) -> Data:
    """Every directive with its effective value; unset is None."""
    data: Data = {NAMES[GLOBAL][0]: section_data(config.globals)}
    for kind, blocks in ((VIRTUAL, config.virtual), (FAILOVER, config.failover)):
        data[NAMES[kind][0]] = [block_data(block) for block in blocks]
    return data


def digest(
    config: Config, devices: bool = True, digest_of: Callable[[Virtual], str] | None = None
) -> str:
    """A digest of what the configuration means: 64 hexadecimal digits.

    Comments, spacing, spelling and written-out defaults do not change it. `devices=False`
    leaves device names out, which may differ between two routers of one cluster. digest_of:
    block_digest(), or what has kept its answers.
    """
    of_block = digest_of or functools.partial(block_digest, devices=devices)
    whole: Data = {
        GLOBAL: _told(config.globals),
        VIRTUAL: [of_block(block) for block in config.virtual],
        FAILOVER: [of_block(block) for block in config.failover],
    }
    return _digest(whole, devices)


def block_digest(block: Virtual, devices: bool = True) -> str:
    """The digest of one block, of which digest() is made; whoever keeps it can hand it in again."""
    data: Data = {"name": block.name, **_told(block.settings)}
    data[NAMES[SERVER][0]] = [
        {"name": server.name, **_told(server.settings)} for server in block.servers
    ]
    return _digest(data, devices)


def _told(section: Section) -> Data:
    """What a section says that is not the default, which is most of it that needs no word."""
    defaults = section.table.defaults
    values = {**section.written, **section.derived}
    return _as_data(section, {k: v for k, v in values.items() if v != defaults[k]})


def _digest(data: Data, devices: bool) -> str:
    text = json.dumps(_meaning(data, devices), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _meaning(data: object, devices: bool) -> object:
    if isinstance(data, dict):
        left_out = NOT_MEANING if devices else (*NOT_MEANING, "device")
        return {key: _meaning(data[key], devices) for key in data if key not in left_out}
    if isinstance(data, list):
        return [_meaning(item, devices) for item in data]
    return data


def block_data(block: Virtual) -> Data:
    """A block with its name and its servers, as to_data() gives it."""
    data: Data = {"name": block.name, **section_data(block.settings)}
    data[NAMES[SERVER][0]] = [
        {"name": server.name, **section_data(server.settings)} for server in block.servers
    ]
    return data


def section_data(section: Section) -> Data:
    """The directives of one block with their effective values, as to_data() gives them."""
    effective = section.effective()
    return _as_data(section, {key: effective[key] for key in section.table.rows})


def _as_data(section: Section, values: Mapping[str, Value]) -> Data:
    data: Data = {}
    rows = section.table.rows
    for key, value in values.items():
        row = rows[key]
        if row.kind == d.ADDRESS_DEVICE and key == "address":
            address = value if isinstance(value, AddressDevice) else None
            data[key] = address.address if address else None
            data["device"] = address.device if address else None
        elif isinstance(value, AddressDevice):
            data[key] = {"address": value.address, "device": value.device}
        elif isinstance(value, tuple):
            data[key] = list(value)
        elif row.kind == d.MASK and isinstance(value, int):
            owner = section.address(_owner_of_mask(key))
            data[key] = mask_text(value, owner is not None and is_ipv6(owner.address))
        else:
            data[key] = value
    return data


def _owner_of_mask(key: str) -> str:
    return "nat_router" if key == MASK_OF["nat_router"] else "address"


class _Builder:
    """One run over the data, collecting findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def run(self, data: object) -> Config:
        config = Config()
        if not isinstance(data, Mapping):
            self.note("E205", "", f"the data must be a mapping, not {_type_name(data)}")
            return derive(config)
        parts = (GLOBAL, VIRTUAL, FAILOVER)
        known = [name for part in parts for name in NAMES[part]]
        for key in data:
            if key not in known:
                remedy = did_you_mean(str(key), known)
                self.note("E205", str(key), f"unknown part `{key}`", remedy)
        name, value = self.part(data, GLOBAL, "")
        config.globals = self.section(value if value is not None else {}, GLOBAL_TABLE, name)
        for path, item in self.items(data, VIRTUAL, ""):
            config.virtual.append(Virtual(*self.block(item, VIRTUAL, path)))
        for path, item in self.items(data, FAILOVER, ""):
            config.failover.append(Failover(*self.block(item, FAILOVER, path)))
        return derive(config)

    def part(self, data: Mapping[str, object], kind: str, path: str) -> tuple[str, object]:
        """The name that the data uses for a part, and what stands there."""
        present = [name for name in NAMES[kind] if data.get(name) is not None]
        if len(present) > 1:
            where = f"{path}.{present[1]}" if path else present[1]
            message = f"`{present[0]}` and `{present[1]}` are two names of the same part"
            self.note("E205", where, message, "use one of them")
        name = present[0] if present else NAMES[kind][0]
        return name, data.get(name)

    def items(self, data: Mapping[str, object], kind: str, path: str) -> list[tuple[str, object]]:
        """The elements of a list in the data, each with its path."""
        name, value = self.part(data, kind, path)
        where = f"{path}.{name}" if path else name
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            self.note("E205", where, f"must be a list, not {_type_name(value)}")
            return []
        return [(f"{where}[{index}]", item) for index, item in enumerate(value)]

    def block(self, item: object, kind: str, path: str) -> tuple[str, Section, list[Server]]:
        settings = self.section(item, VIRTUAL_TABLE, path, ("name", "device", *NAMES[SERVER]))
        servers = []
        if isinstance(item, Mapping):
            for where, inner in self.items(item, SERVER, path):
                section = self.section(inner, SERVER_TABLE, where, ("name",))
                servers.append(Server(self.name(inner, SERVER, where), section))
        return self.name(item, kind, path), settings, servers

    def name(self, item: object, kind: str, path: str) -> str:
        value = item.get("name") if isinstance(item, Mapping) else ""
        if value is None or isinstance(value, (bool, Mapping, list)):
            example = "for example `name: web`"
            self.note("E205", f"{path}.name", f"a {kind} block needs a name", example)
            return ""
        try:
            header("", kind, str(value))
        except ValueError:
            message = f"the name {value!r} cannot be written in lvs.cf"
            self.note("E206", f"{path}.name", message, "use letters, digits, `-`, `_` and `.`")
            return ""
        return str(value)

    def section(
        self, item: object, table: Table, path: str, others: tuple[str, ...] = ()
    ) -> Section:
        """Read a mapping as the directives of one block; `others` are keys read elsewhere."""
        written: dict[str, Value] = {}
        section = Section(table, written, Path(path))
        if not isinstance(item, Mapping):
            self.note("E205", path, f"must be a mapping, not {_type_name(item)}")
            return section
        prefixes: dict[str, int] = {}
        device = item.get("device") if "device" in others else None
        for key, value in item.items():
            if key in others or (value is None and key in table.rows):
                continue
            where = f"{path}.{key}"
            row = table.rows.get(key)
            if row is None:
                self.findings.append(unknown_directive(str(key), table.where, Place(path=where)))
                continue
            try:
                args = _words(row, value, device if key == "address" else None)
                read = read_value(row, args)
            except BadValue as bad:
                self.note(bad.code, where, bad.message, bad.remedy)
                continue
            for note in read.notes:
                self.note(note.code, where, note.message, note.remedy)
            written[key] = read.value
            if read.prefix is not None:
                prefixes[MASK_OF[key]] = read.prefix
        for key, prefix in prefixes.items():
            if written.setdefault(key, prefix) != prefix:
                message = f"`{key}` and the prefix length /{prefix} of the address differ"
                self.note("W202", f"{path}.{key}", message, f"`{key}` counts")
        if device is not None and item.get("address") is None:
            message = "a device without an address has no effect"
            self.note("W202", f"{path}.device", message, "add `address`")
        return section

    def note(self, code: str, path: str, message: str, remedy: str = "") -> None:
        self.findings.append(finding(code, Place(path=path or "data"), message, remedy))


def _type_name(value: object) -> str:
    if value is None:
        return "nothing"
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "a switch"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else "this")


def _device_text(device: object) -> object:
    """A mapping from role to device as the text it is in the file."""
    if isinstance(device, Mapping):
        return ",".join(f"{role}={name}" for role, name in device.items())
    return device


def _words(row: Directive, value: object, device: object) -> tuple[str, ...]:
    """The words that would stand behind the directive in the file. BadValue for a wrong shape."""
    if row.kind == d.LIST:
        return _list_words(row, value)
    if row.kind == d.ADDRESS_DEVICE and isinstance(value, Mapping):
        unknown = [str(key) for key in value if key not in ("address", "device")]
        if unknown or value.get("address") is None:
            message = f"`{row.name}` takes a mapping with `address` and `device`"
            raise BadValue("E205", message, f"`{unknown[0]}` is unknown" if unknown else "")
        device = value.get("device")
        value = value["address"]
    device = _device_text(device)
    if isinstance(value, bool):
        text = str(int(value))
    elif isinstance(value, (int, float)):
        text = repr(value)
    elif isinstance(value, str):
        text = value
    else:
        message = f"`{row.name}` takes one value, not {_type_name(value)}"
        raise BadValue("E205", message, "")
    if row.kind in (d.TEXT, d.QUOTED, d.ESCAPED, d.PATH):
        return (_writable(row, escape(text) if row.kind == d.ESCAPED else text),)
    if row.kind != d.ADDRESS_DEVICE:
        return (text.strip(),)
    words = tuple(text.split()) or ("",)
    if device is None:
        return words
    if len(words) > 1 and words[1] != str(device):
        message = f"`{row.name}` names the device {' '.join(words[1:])}, `device` says {device}"
        raise BadValue("E205", message, "name it once")
    return (words[0], str(device))


def _list_words(row: Directive, value: object) -> tuple[str, ...]:
    if row.item != d.TEXT and isinstance(value, (str, int)) and not isinstance(value, bool):
        return tuple(str(value).split()) or ("",)
    if not isinstance(value, (list, tuple)):
        raise BadValue("E205", f"`{row.name}` takes a list, not {_type_name(value)}", "")
    words = [_writable(row, str(word)) for word in value]
    if row.item != d.TEXT:
        return tuple(words) or ("",)
    if any(not word or word[0] == "[" or word[-1] == "]" for word in words):
        message = f"an element of `{row.name}` is empty or has a bracket at its end"
        raise BadValue("E206", message, "remove it")
    return ("[", *words, "]")


def _writable(row: Directive, text: str) -> str:
    try:
        quoted(text, always=True)
    except ValueError:
        message = f"the text of `{row.name}` cannot be written in one line of lvs.cf"
        remedy = "use no line end, and only one kind of quotes"
        raise BadValue("E206", message, remedy) from None
    return text
