# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From lvs.cf to services, servers and checks."""

from __future__ import annotations

import pytest
from piranha.core.ipvs.model import Forward, Server, ServerKey, Service, ServiceKey
from piranha.core.lvs_cf import api
from piranha.core.lvs_cf.marks import own_mark
from piranha.core.lvs_cf.pieces import Reader
from piranha.lvsd.desired import desired
from piranha.lvsd.layout import Laid, Layout, LayoutError, host_names, layout
from piranha.marks.rules import Rule
from piranha.nanny.spec import ProgramCheck, SocketCheck
from piranha.nanny.verdict import Policy, State

from .support import GLOBALS, WEB, made, verdict

KEY = ServiceKey.by_address("tcp", "203.0.113.100", 80)


def test_a_plain_service() -> None:
    (virtual,) = made(GLOBALS + WEB).virtual
    assert virtual.service == Service(KEY, "wlc")
    assert virtual.forward is Forward.NAT
    assert virtual.policy == Policy(interval=2, reentry=6)
    assert virtual.sorry is None
    assert not virtual.quiesce
    assert [(s.name, s.id.server, s.weight) for s in virtual.servers] == [
        ("one", ServerKey("192.0.2.21", 80), 1),
        ("two", ServerKey("192.0.2.22", 80), 3),
    ]
    assert str(virtual) == "web (203.0.113.100:80/tcp)"
    check = virtual.servers[0].watch.check
    assert isinstance(check, SocketCheck)
    assert check.send == b"GET / HTTP/1.0\r\n\r\n"


def test_what_is_inactive_is_left_out() -> None:
    text = GLOBALS + WEB.replace("active = 1", "active = 0", 1)
    assert made(text).virtual == ()
    text = GLOBALS + WEB.replace("active = 1\n    }\n    server", "active = 0\n    }\n    server")
    assert [s.name for s in made(text).virtual[0].servers] == ["two"]
    assert made(GLOBALS.replace("service = lvs", "service = fos") + WEB).virtual == ()


def test_everything_a_service_can_say() -> None:
    (virtual,) = made(
        GLOBALS
        + """\
virtual dns {
    active = 1
    address = 203.0.113.53 eth0:1
    protocol = udp
    port = 53
    scheduler = wrr
    persistent = 300
    pmask = 255.255.255.0
    send_program = "/usr/bin/check %h %p"
    expect = "OK"
    timeout = 2.5
    quiesce_server = 1
    sorry_server = 192.0.2.99
    server one {
        address = 192.0.2.21
        port = 5353
        active = 1
        weight = 0
    }
}
"""
    ).virtual
    assert virtual.service == Service(
        ServiceKey.by_address("udp", "203.0.113.53", 53), "wrr", persistence=300, mask=24
    )
    assert virtual.quiesce
    assert virtual.sorry == ServerKey("192.0.2.99", 53)
    assert virtual.policy == Policy(interval=2.5, reentry=180)
    (server,) = virtual.servers
    assert (server.id.server, server.weight) == (ServerKey("192.0.2.21", 5353), 0)
    check = server.watch.check
    assert isinstance(check, ProgramCheck)
    assert check.command == ("/usr/bin/check", "192.0.2.21", "5353")
    assert (server.watch.interval, check.limit) == (2.5, 2.5)


@pytest.mark.parametrize("network", ["direct", "tunnel"])
def test_only_nat_changes_the_port(network: str) -> None:
    text = GLOBALS.replace("network = nat", f"network = {network}") + WEB.replace(
        "address = 192.0.2.21", "address = 192.0.2.21\n        port = 8080"
    )
    (virtual,) = made(text).virtual
    assert virtual.servers[0].id.server.port == 80
    check = virtual.servers[0].watch.check
    assert isinstance(check, SocketCheck)
    assert check.port == 8080


def test_a_firewall_mark() -> None:
    text = GLOBALS + WEB.replace("port = 80", "fwmark = 7\n    port = 80")
    (virtual,) = made(text).virtual
    assert virtual.key == ServiceKey.by_mark(7)
    assert str(virtual) == "web (mark 7)"
    assert virtual.servers[0].id.server == ServerKey("192.0.2.21", 80)


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        ("reentry = 0", Policy(interval=2, reentry=180)),
        ("rise = 3\n fall = 2", Policy(interval=2, reentry=0, rise=3, fall=2)),
        ("rise = 3\n reentry = 9", Policy(interval=2, reentry=9, rise=3)),
    ],
)
def test_policies(lines: str, policy: Policy) -> None:
    (virtual,) = made(GLOBALS + WEB.replace("reentry = 6", lines)).virtual
    assert virtual.policy == policy


def test_names_are_told_and_their_addresses_used() -> None:
    text = GLOBALS + WEB.replace("192.0.2.21", "one.example.com")
    assert host_names(api.load(text).config) == ("one.example.com",)
    laid = made(text, {"one.example.com": "192.0.2.77"})
    assert laid.virtual[0].servers[0].id.server.address == "192.0.2.77"
    # Until it has an address it is left out, alone.
    assert [server.name for server in made(text).virtual[0].servers] == ["two"]
    assert made(GLOBALS + WEB.replace("203.0.113.100", "vip.example.com")).virtual == ()


def test_a_block_that_is_the_same_object_is_laid_out_once() -> None:
    mail = WEB.replace("virtual web", "virtual mail").replace("port = 80", "port = 25")
    reader, laid = Reader(), Laid()

    def laid_out(text: str, **addresses: str) -> Layout:
        config = reader.load(text).config
        assert layout(config, addresses, laid) == layout(config, addresses)
        return layout(config, addresses, laid)

    web, _post = laid_out(GLOBALS + WEB + mail).virtual
    again = laid_out(GLOBALS + WEB + mail.replace("weight = 3", "weight = 4")).virtual
    assert again[0] is web
    assert again[1].servers[1].weight == 4
    direct = laid_out(GLOBALS.replace("nat", "direct") + WEB + mail).virtual
    assert str(direct[0].forward) == "direct"
    named = mail.replace("192.0.2.21", "one")
    assert len(laid_out(GLOBALS + WEB + named).virtual[1].servers) == 1
    assert len(laid_out(GLOBALS + WEB + named, one="192.0.2.5").virtual[1].servers) == 2


def test_all_that_is_wrong_is_told_at_once() -> None:
    config = api.load(
        GLOBALS
        + WEB
        + WEB
        + WEB.replace("address = 203.0.113.100 eth0:1", "").replace(" web ", " none ")
    ).config
    with pytest.raises(LayoutError) as caught:
        layout(config)
    assert len(caught.value.sentences) == 2
    assert "none: it has neither an address nor a firewall mark" in caught.value.sentences[0]
    assert "an earlier block has the same service" in caught.value.sentences[1]


def test_what_the_kernel_cannot_hold_is_no_layout() -> None:
    mixed = WEB.replace("address = 203.0.113.100 eth0:1", "address = 2001:db8::100 eth0")
    with pytest.raises(LayoutError, match="virtual web: "):
        layout(api.load(GLOBALS + mixed).config)


def test_equal_checks_of_two_services_are_one() -> None:
    laid = made(GLOBALS + WEB + WEB.replace("203.0.113.100", "203.0.113.101").replace("web", "w2"))
    watches = {server.watch for _unused, server in laid.servers()}
    assert len(list(laid.servers())) == 4
    assert len(watches) == 2


EXTENDED = """\
virtual tun {
    active = 1
    address = 203.0.113.70 eth0:1
    protocol = udp
    port = 5060
    send = x
    forward = tunnel
    tunnel_type = gue
    tunnel_port = 6080
    tunnel_checksum = csum
    scheduler = mh
    scheduler_flags = [ mh-port mh-fallback ]
    persistent = 60
    persistence_engine = sip
    ops = 1
    sorry_server = 192.0.2.99
    server one {
        address = 192.0.2.21
        active = 1
        upper_threshold = 100
        lower_threshold = 50
    }
}
"""


def test_what_the_kernel_can_do_reaches_the_table() -> None:
    laid = made(GLOBALS + EXTENDED)
    (virtual,) = laid.virtual
    assert virtual.service == Service(
        ServiceKey.by_address("udp", "203.0.113.70", 5060),
        "mh",
        flags=("mh-fallback", "mh-port"),
        persistence=60,
        engine="sip",
        one_packet=True,
    )
    up = {server.id: verdict(State.UP) for server in virtual.servers}
    (server,) = desired(laid, up).servers(virtual.key).values()
    assert server == Server(
        ServerKey("192.0.2.21", 5060),
        1,
        Forward.TUNNEL,
        upper=100,
        lower=50,
        tunnel="gue",
        tunnel_port=6080,
        tunnel_checksum="csum",
    )
    down = {server.id: verdict(State.DOWN) for server in virtual.servers}
    (sorry,) = desired(laid, down).servers(virtual.key).values()
    assert (sorry.key, sorry.upper, sorry.tunnel) == (ServerKey("192.0.2.99", 5060), 0, "gue")


def test_tunnel_settings_are_left_out_where_there_is_no_tunnel() -> None:
    (virtual,) = made(GLOBALS + EXTENDED.replace("forward = tunnel", "forward = direct")).virtual
    assert virtual.entry(ServerKey("192.0.2.21", 5060), 1).tunnel == "ipip"


def test_several_ports_make_a_service_each() -> None:
    laid = made(GLOBALS + WEB.replace("port = 80", "ports = [ 80 443 ]"))
    assert [str(virtual) for virtual in laid.virtual] == [
        "web (203.0.113.100:80/tcp)",
        "web (203.0.113.100:443/tcp)",
    ]
    assert [server.id.server.port for _virtual, server in laid.servers()] == [80, 80, 443, 443]
    one, _two = laid.virtual[1].servers
    assert isinstance(one.watch.check, SocketCheck)
    assert one.watch.check.port == 443


def test_a_server_port_of_its_own_serves_all_ports() -> None:
    text = WEB.replace("port = 80", "ports = [ 80 443 ]")
    text = text.replace("server one {", "server one {\n        port = 8080")
    laid = made(GLOBALS + text)
    ports = [server.id.server.port for _virtual, server in laid.servers()]
    assert ports == [8080, 80, 8080, 443]


def test_several_ports_with_a_mark_are_one_service() -> None:
    text = WEB.replace("port = 80", "ports = [ 80 443 ]\n    fwmark = 7\n    persistent = 300")
    (virtual,) = made(GLOBALS + text).virtual
    assert virtual.service == Service(ServiceKey.by_mark(7), "wlc", persistence=300)
    # Packets keep their port; what is checked is the first.
    assert [server.id.server.port for server in virtual.servers] == [0, 0]
    for server in virtual.servers:
        assert isinstance(server.watch.check, SocketCheck)
        assert server.watch.check.port == 80


def test_persistence_over_several_ports_is_one_service_whose_packets_we_mark() -> None:
    text = WEB.replace("port = 80", "ports = [ 80 443 ]\n    persistent = 300")
    laid = made(GLOBALS + text)
    (virtual,) = laid.virtual
    mark = own_mark("203.0.113.100", "tcp", [80])
    assert virtual.service == Service(ServiceKey.by_mark(mark), "wlc", persistence=300)
    # The packet's own port: a server gets both as they are, and is checked on the first.
    assert {server.id.server.port for server in virtual.servers} == {0}
    for server in virtual.servers:
        assert isinstance(server.watch.check, SocketCheck)
        assert server.watch.check.port == 80
    rules = {Rule("203.0.113.100", "tcp", port, mark) for port in (80, 443)}
    assert virtual.marks == laid.marks() == rules


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("fwmark = 7", set()),
        ("fwmark = 7\n    marking = none", set()),
        ("fwmark = 7\n    marking = auto", {Rule("203.0.113.100", "tcp", 80, 7)}),
        (
            "fwmark = 7\n    marking = auto\n    protocol = udp\n    check = icmp",
            {Rule("203.0.113.100", "udp", 80, 7)},
        ),
        (
            "fwmark = 7\n    marking = auto\n    ports = 80, 443",
            {Rule("203.0.113.100", "tcp", port, 7) for port in (80, 443)},
        ),
    ],
)
def test_a_written_mark_is_ours_to_set_only_where_that_is_asked_for(
    lines: str, wanted: set[Rule]
) -> None:
    port = "" if "ports" in lines else "port = 80\n    "
    laid = made(GLOBALS + WEB.replace("port = 80", port + lines))
    assert laid.marks() == wanted


def test_a_service_of_ipv6_and_its_name_are_marked_by_address() -> None:
    text = WEB.replace("port = 80", "fwmark = 7\n    marking = auto")
    text = text.replace("203.0.113.100 eth0:1", "shop.example eth0:1")
    text = text.replace("192.0.2.", "2001:db8::")
    (virtual,) = made(GLOBALS + text, {"shop.example": "2001:db8::1"}).virtual
    assert virtual.key == ServiceKey.by_mark(7, "ipv6")
    assert virtual.marks == {Rule("2001:db8::1", "tcp", 80, 7)}
