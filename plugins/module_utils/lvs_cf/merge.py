# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration becomes when data is merged into it, replaces parts of it, or leaves it.

Configurations in, a configuration out; text is edit.py's. The states are those of Ansible's
network resource modules. The data is as in data.py; null stands for a directive that is not set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .config import MASK_OF, Config, Failover, Section, Server, Virtual, derive
from .data import NAMES, Built, read_data, to_data
from .directives import ADDRESS_DEVICE, FAILOVER, GLOBAL, SERVER, VIRTUAL
from .values import AddressDevice

MERGED = "merged"
REPLACED = "replaced"
OVERRIDDEN = "overridden"
ABSENT = "absent"
STATES = (MERGED, REPLACED, OVERRIDDEN, ABSENT)

# How modules, filters and the inventory name the parts; each is among data.NAMES.
PARTS = {
    GLOBAL: "globals",
    VIRTUAL: "virtual_servers",
    FAILOVER: "failover_services",
    SERVER: "real_servers",
}
LABELS = {VIRTUAL: "virtual server", FAILOVER: "failover service", SERVER: "real server"}

Data = dict[str, object]


class Ambiguous(Exception):
    """One sentence: a name that shall be changed means more than one block."""


class Change(NamedTuple):
    """One difference between two configurations: where, which directive, and both values.

    `where` is like `virtual server web, real server rs1`; `directive` is empty where a whole
    block came or went.
    """

    where: str
    directive: str
    before: object
    after: object


def merge(present: Config, data: Mapping[str, object], state: str) -> Built:
    """The configuration that `data` makes of the present one, and what is wrong with the data.

    With findings that are errors the configuration is the present one. The result is not checked
    as a whole. Raises Ambiguous.
    """
    if state == MERGED:
        data = _completed(present, data)
    given = read_data(data)
    if given.errors:
        return Built(present, given.findings)
    if state == OVERRIDDEN:
        return given
    result = Config(present.globals)
    if _is_given(data, GLOBAL):
        settings = _raw(data, GLOBAL)
        result.globals = _section(present.globals, given.config.globals, settings, state)
    items = _raw_items(data, VIRTUAL)
    result.virtual.extend(_blocks(present.virtual, given.config.virtual, items, VIRTUAL, state))
    items = _raw_items(data, FAILOVER)
    for block in _blocks(present.failover, given.config.failover, items, FAILOVER, state):
        result.failover.append(Failover(block.name, block.settings, block.servers))
    return Built(derive(result), given.findings)


def without_server(present: Config, virtual: str, server: str) -> Config:
    """The configuration without one real server of one virtual server. Raises Ambiguous."""
    result = Config(present.globals, list(present.virtual), list(present.failover))
    for index, block in enumerate(present.virtual):
        if block.name == virtual:
            _only([block.name for block in present.virtual], virtual, LABELS[VIRTUAL])
            servers = [one for one in block.servers if one.name != server]
            result.virtual[index] = Virtual(block.name, block.settings, servers)
    return derive(result)


def written_data(config: Config) -> Data:
    """What is written in a configuration, as the data that the modules take; nothing is null.

    A prefix length behind an address appears as the mask that it sets.
    """
    full = to_data(config)
    data: Data = {PARTS[GLOBAL]: _written(full[NAMES[GLOBAL][0]], config.globals)}
    for kind, blocks in ((VIRTUAL, config.virtual), (FAILOVER, list[Virtual](config.failover))):
        items = full[NAMES[kind][0]]
        data[PARTS[kind]] = [
            _written_block(item, block)
            for item, block in zip(items if isinstance(items, list) else [], blocks)
        ]
    return data


def effective_data(config: Config) -> Data:
    """Every directive with its effective value, named as in written_data(); unset is None."""
    new = {NAMES[kind][0]: name for kind, name in PARTS.items()}

    def renamed(value: object) -> object:
        if isinstance(value, dict):
            return {new.get(key, key): renamed(inner) for key, inner in value.items()}
        return [renamed(inner) for inner in value] if isinstance(value, list) else value

    return {new.get(key, key): renamed(value) for key, value in to_data(config).items()}


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    """What changed between two configurations given as written_data(), in the file's order."""
    changes = list(_changes("globals", before.get(PARTS[GLOBAL]), after.get(PARTS[GLOBAL])))
    for kind in (VIRTUAL, FAILOVER):
        changes.extend(_block_changes("", kind, before.get(PARTS[kind]), after.get(PARTS[kind])))
    return changes


def find(data: Mapping[str, object], kind: str, *names: str) -> Data | None:
    """One block of written_data() by its name, or a server by its block's name and its own."""
    for item in _list(data.get(PARTS[kind])):
        if item.get("name") == names[0]:
            return dict(item) if len(names) == 1 else find(item, SERVER, *names[1:])
    return None


# -- merging


def _raw(data: Mapping[str, object], kind: str) -> Mapping[str, object]:
    for name in NAMES[kind]:
        value = data.get(name)
        if isinstance(value, Mapping):
            return value
    return {}


def _list(value: object) -> list[Mapping[str, object]]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _raw_items(data: Mapping[str, object], kind: str) -> list[Mapping[str, object]]:
    return next((_list(data[name]) for name in NAMES[kind] if data.get(name) is not None), [])


def _is_given(data: Mapping[str, object], kind: str) -> bool:
    return any(data.get(name) is not None for name in NAMES[kind])


def _section(present: Section, given: Section, raw: Mapping[str, object], state: str) -> Section:
    if state == REPLACED:
        return Section(present.table, dict(given.written))
    written = dict(present.written)
    for key in raw:
        if key in present.table.rows and (state == ABSENT or raw[key] is None):
            written.pop(key, None)
            if key in MASK_OF and present.table.rows[key].kind == ADDRESS_DEVICE:
                written.pop(MASK_OF[key], None)
    if state == MERGED:
        written.update(given.written)
    return Section(present.table, written)


def _blocks(
    present: Sequence[Virtual],
    given: Sequence[Virtual],
    raw: list[Mapping[str, object]],
    kind: str,
    state: str,
) -> Iterator[Virtual]:
    there = [block.name for block in present]
    wanted = [block.name for block in given]
    for name in wanted:
        _only(wanted, name, f"{LABELS[kind]} in the data")
        if state != ABSENT:
            _only(there, name, LABELS[kind])
    new = {block.name: (block, item) for block, item in zip(given, raw)}
    for block in present:
        if block.name not in new:
            yield block
        elif state != ABSENT:
            yield _block(block, *new.pop(block.name), kind, state)
    if state != ABSENT:
        yield from (block for block, _item in new.values())


def _block(
    present: Virtual, given: Virtual, raw: Mapping[str, object], kind: str, state: str
) -> Virtual:
    if state == REPLACED:
        return given
    settings = _section(present.settings, given.settings, raw, state)
    raw_servers = _raw_items(raw, SERVER)
    new = {server.name: (server, item) for server, item in zip(given.servers, raw_servers)}
    servers: list[Server] = []
    for server in present.servers:
        if server.name in new:
            label = f"{LABELS[SERVER]} of {LABELS[kind]} {present.name}"
            _only([one.name for one in present.servers], server.name, label)
            _only([one.name for one in given.servers], server.name, f"{label} in the data")
            change, item = new.pop(server.name)
            section = _section(server.settings, change.settings, item, state)
            server = Server(server.name, section)
        servers.append(server)
    servers.extend(server for server, _item in new.values())
    return Virtual(present.name, settings, servers)


def _only(names: list[str], name: str, label: str) -> None:
    count = names.count(name)
    if count > 1:
        raise Ambiguous(
            f"the name `{name}` stands {count} times as {label}, so that it is not clear which one "
            "is meant; give each its own name"
        )


# -- address and device, which are one directive and two keys


def _completed(present: Config, data: Mapping[str, object]) -> Data:
    """The data with addresses for devices given alone and devices for addresses given alone."""
    result: Data = dict(data)
    for name in NAMES[GLOBAL]:
        settings = data.get(name)
        if isinstance(settings, Mapping):
            result[name] = {
                key: _joined(value, present.globals.written.get(key))
                for key, value in settings.items()
            }
    for kind, blocks in ((VIRTUAL, present.virtual), (FAILOVER, list[Virtual](present.failover))):
        there = {block.name: block for block in blocks}
        for name in NAMES[kind]:
            items = data.get(name)
            if isinstance(items, (list, tuple)):
                result[name] = [_with_device(item, there) for item in items]
    return result


def _joined(value: object, present: object) -> object:
    """A mapping or text of address and device, the missing one as it is."""
    if not isinstance(present, AddressDevice):
        return value
    if isinstance(value, Mapping):
        return {**present._asdict(), **value}
    if isinstance(value, str) and len(value.split()) == 1 and present.device is not None:
        return f"{value.strip()} {present.device}"
    return value


def _with_device(item: object, there: Mapping[str, Virtual]) -> object:
    if not isinstance(item, Mapping) or str(item.get("name")) not in there:
        return item
    present = there[str(item["name"])].settings.written.get("address")
    if not isinstance(present, AddressDevice):
        return item
    result = dict(item)
    if "address" not in item and item.get("device") is not None:
        result["address"] = present.address
    elif "address" not in item and "device" in item:  # null: the address alone stays
        result["address"] = {"address": present.address}
    elif "device" not in item and item.get("address") is not None:
        result["address"] = _joined(item["address"], present)
    return result


# -- what is written, as data; and what differs


def _written(full: object, section: Section) -> Data:
    items = full.items() if isinstance(full, dict) else ()
    data: Data = {}
    for key, value in items:
        if value is None or (key in section.table.rows and key not in section.written):
            continue
        if isinstance(value, dict):
            value = {inner: text for inner, text in value.items() if text is not None}
        data[key] = value
    return data


def _written_block(full: object, block: Virtual) -> Data:
    data = _written(full, block.settings)
    servers = _list(data.pop(NAMES[SERVER][0], None))
    data[PARTS[SERVER]] = [
        _written(item, server.settings) for item, server in zip(servers, block.servers)
    ]
    return data


def _changes(where: str, before: object, after: object) -> Iterator[Change]:
    old = before if isinstance(before, Mapping) else {}
    new = after if isinstance(after, Mapping) else {}
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in ("name", PARTS[SERVER]) and old.get(key) != new.get(key):
            yield Change(where, str(key), old.get(key), new.get(key))


def _block_changes(around: str, kind: str, before: object, after: object) -> Iterator[Change]:
    old = {_name(item, index, before): item for index, item in enumerate(_list(before))}
    new = {_name(item, index, after): item for index, item in enumerate(_list(after))}
    for name in [*old, *(name for name in new if name not in old)]:
        where = f"{around}{LABELS[kind]} {name}"
        if name not in new or name not in old:
            yield Change(where, "", old.get(name), new.get(name))
            continue
        yield from _changes(where, old[name], new[name])
        servers = old[name].get(PARTS[SERVER]), new[name].get(PARTS[SERVER])
        yield from _block_changes(f"{where}, ", SERVER, *servers)


def _name(item: Mapping[str, object], index: int, items: object) -> str:
    """The name of a block, with a number behind it where others before it have the same."""
    name = str(item.get("name"))
    earlier = sum(str(other.get("name")) == name for other in _list(items)[:index])
    return f"{name} ({earlier + 1})" if earlier else name
