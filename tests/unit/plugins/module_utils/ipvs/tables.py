# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up tables for the tests of the IPVS library: hypothesis strategies, no test itself."""

from __future__ import annotations

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Forward,
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.normal import CHECKSUMS, PROTOCOLS
from hypothesis import strategies as st

# Few enough that tables drawn independently share services and servers.
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "::192.0.2.1")
PORTS = (0, 80, 65535)
SERVER_ADDRESSES = ("198.51.100.1", "198.51.100.2", "2001:db8:1::1", "2001:db8:1::2")

keys = st.one_of(
    st.builds(
        ServiceKey.by_address,
        st.sampled_from(PROTOCOLS),
        st.sampled_from(ADDRESSES),
        st.sampled_from(PORTS),
    ),
    st.builds(
        ServiceKey.by_mark, st.sampled_from((1, 2**32 - 1)), st.sampled_from(("ipv4", "ipv6"))
    ),
)


@st.composite
def services(draw: st.DrawFn, key: ServiceKey | None = None) -> Service:
    """Any service that the model takes; of the given key, if one is given."""
    key = key or draw(keys)
    scheduler = draw(st.sampled_from(("rr", "wlc", "sh", "mh")))
    masks = ("", "255.255.255.0", "0.0.0.0") if key.family == "ipv4" else ("", 64, "1")
    return Service(
        key,
        scheduler,
        flags=draw(st.lists(st.sampled_from(("flag-1", "flag-2", "flag-3")), unique=True)),
        persistence=draw(st.sampled_from((0, 1, 300, 31 * 24 * 3600))),
        mask=draw(st.sampled_from(masks)),
        engine=draw(st.sampled_from(("", "sip"))),
        one_packet=draw(st.booleans()) if key.protocol in ("udp", "") else False,
    )


@st.composite
def servers(draw: st.DrawFn, family: str) -> Server:
    """Any server that a service of the family takes."""
    key = ServerKey(draw(st.sampled_from(SERVER_ADDRESSES)), draw(st.sampled_from(PORTS)))
    methods = list(Forward) if key.family == family else [Forward.TUNNEL]
    forward = draw(st.sampled_from(methods))
    upper = draw(st.sampled_from((0, 1, 2**31 - 1)))
    numbers = st.integers(0, 2**31 - 1)
    tunnel = {}
    if forward is Forward.TUNNEL:
        kind = draw(st.sampled_from(("ipip", "gue", "gre")))
        tunnel = {
            "tunnel": kind,
            "tunnel_port": draw(st.integers(1, 65535)) if kind == "gue" else 0,
            "tunnel_checksum": "nocsum" if kind == "ipip" else draw(st.sampled_from(CHECKSUMS)),
        }
    return Server(
        key,
        draw(st.one_of(st.sampled_from((0, 1)), numbers)),
        forward,
        upper=upper,
        lower=draw(st.integers(0, upper)),
        **tunnel,
    )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Any table of up to six services with up to four servers each."""
    entries = []
    for key in draw(st.lists(keys, unique=True, max_size=6)):
        service = draw(services(key))
        here = draw(st.lists(servers(key.family), unique_by=lambda s: s.key, max_size=4))
        entries.append((service, here))
    return Table(entries)
