# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arbitrary texts and configurations for the property tests, made from the table of directives."""

from __future__ import annotations

from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import (
    Config,
    Failover,
    Section,
    Server,
    Virtual,
    derive,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.lexer import quoted
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import (
    AddressDevice,
    plain_number,
)
from hypothesis import strategies as st

from .cluster import CLUSTER


def _can_stand_in_a_line(text: str) -> bool:
    try:
        quoted(text, always=True)
    except ValueError:
        return False
    return True


_ANY_TEXT = st.text(
    st.characters(min_codepoint=0x20, blacklist_characters="\x7f", blacklist_categories=("Cs",)),
    max_size=12,
)
texts = st.one_of(_ANY_TEXT, st.text("ab \t\"'\\#={}", max_size=8)).filter(_can_stand_in_a_line)
names = texts.filter(bool)
# An IPv4 address mapped into IPv6 is refused, so no configuration has one.
_IPV6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None).map(str)
ipv4 = st.ip_addresses(v=4).map(str)
addresses = st.one_of(ipv4, _IPV6)
hosts = st.one_of(addresses, st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5})?", fullmatch=True))
_device = st.from_regex(r"[a-z]{2,6}[0-9.]{0,3}(:[0-9]{1,2})?", fullmatch=True)
_by_role = st.builds("primary={},backup={}".format, _device, _device)
devices = st.one_of(_device, _by_role, _device.map("backup={}".format))


def _lists(row: d.Directive) -> st.SearchStrategy:
    items = {
        d.TEXT: st.from_regex(r"[a-z/]{1,6}( [a-z]{1,3})?", fullmatch=True),
        d.PORT: st.integers(1, 65535),
        d.CHOICE: st.sampled_from(row.choices or ("none",)),
        d.HOST: hosts,
    }
    plain = row.item == d.TEXT
    lists = st.lists(items[row.item], min_size=not plain, max_size=4, unique=not plain)
    return lists.map(tuple)


def _values(row: d.Directive) -> st.SearchStrategy:
    low = row.low if row.low is not None else 0
    high = row.high if row.high is not None else 0
    if row.kind == d.SECONDS:
        first = int(low * 1000)
        whole_ms = st.one_of(st.integers(first, 20000), st.integers(first, int(high * 1000)))
        return whole_ms.map(lambda number: plain_number(number / 1000))
    simple = {
        d.SWITCH: st.integers(0, 1),
        d.NUMBER: st.integers(int(low), int(high)),
        d.PORT: st.integers(int(low), int(high)),
        d.WHOLE_SECONDS: st.integers(int(low), int(high)),
        d.CHOICE: st.sampled_from(row.choices or ("none",)),
        d.HOST: hosts,
        d.IP: addresses,
        d.ADDRESS_DEVICE: st.builds(AddressDevice, hosts, st.none() | devices),
        d.MASK: st.integers(1, 128),
        d.TEXT: texts,
        d.QUOTED: texts,
        d.ESCAPED: texts,
        d.PATH: texts.map(lambda text: "/" + text).filter(_can_stand_in_a_line),
        d.LIST: _lists(row),
    }
    return simple[row.kind]


def _sections(table: d.Table) -> st.SearchStrategy:
    written = st.fixed_dictionaries(
        {}, optional={name: _values(row) for name, row in table.rows.items()}
    )
    return st.builds(Section, st.just(table), written)


_servers = st.builds(Server, names, _sections(d.SERVER_TABLE))
_server_lists = st.lists(_servers, max_size=3)


def _blocks(kind: type) -> st.SearchStrategy:
    return st.lists(st.builds(kind, names, _sections(d.VIRTUAL_TABLE), _server_lists), max_size=2)


configs = st.builds(Config, _sections(d.GLOBAL_TABLE), _blocks(Virtual), _blocks(Failover)).map(
    derive
)

# Texts that look like an lvs.cf, whole and broken.
_pieces = st.one_of(
    st.sampled_from(
        [*CLUSTER.split("\n"), "}", "{", "virtual", "server x {", "virtual a{", "=", "#"]
    ),
    st.text("ab=#{}\"' \t\\[]10.:\ufeff\0\x0c\x85\u2028é", max_size=10),
)
documents = st.lists(
    st.tuples(_pieces, st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", ""])), max_size=30
).map(lambda parts: "".join(piece + end for piece, end in parts))
