# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arbitrary marking rules: one mark for a packet, as lvs.cf's checks see to."""

from __future__ import annotations

from hypothesis import strategies as st
from piranha.marks.rules import Rule

PROTOCOLS = ("tcp", "udp", "sctp")

addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None),
).map(str)
ports = st.one_of(st.just(0), st.sampled_from([80, 443]), st.integers(1, 65535))
places = st.tuples(addresses, st.sampled_from(PROTOCOLS), ports)
rules = st.dictionaries(places, st.integers(1, 0xFFFFFFFF), max_size=12).map(
    lambda found: frozenset(Rule(*place, mark) for place, mark in found.items())
)
