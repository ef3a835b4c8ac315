# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvsadm's text: what real ipvsadm 1.31 printed, round trips, and sentences for bad lines."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import ipvsadm
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Forward,
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import (
    Daemon,
    Flush,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)
from hypothesis import given

from .tables import tables

# `ipvsadm -Sn` of ipvsadm 1.31 on kernel 6.1, sorted as this library sorts.
PRINTED = """\
-A -f 5 -s wlc -p 360
-a -f 5 -r 198.51.100.2:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -f 5 -r 198.51.100.4:0 -i -w 1 --tun-type gre --tun-csum
-a -f 5 -r 198.51.100.5:0 -i -w 1 --tun-type ipip
-A --sctp-service 192.0.2.1:80 -s wlc
-A -t 192.0.2.1:80 -s rr -p 300 -M 255.255.0.0
-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 0
-A -t 192.0.2.1:81 -s sh -b sh-fallback,sh-port
-A -u 192.0.2.1:53 -s sh -o -b sh-port
-A -u 192.0.2.1:5060 -s mh -p 30 --pe sip -b mh-port
-A -f 5 -6 -s wlc -p 360 -M 64
-A -t [2001:db8::1]:80 -s wlc
-a -t [2001:db8::1]:80 -r 198.51.100.2:80 -i -w 1 --tun-type ipip
-a -t [2001:db8::1]:80 -r [2001:db8:1::2]:80 -g -w 65536
"""

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
ONE = Server(ServerKey("198.51.100.1", 80), 3)


def test_what_ipvsadm_prints_is_read_and_written_alike() -> None:
    table = ipvsadm.parse(PRINTED)
    assert len(table) == 8
    assert ipvsadm.table_lines(table) == PRINTED.splitlines()


def test_what_is_read_is_what_it_says() -> None:
    table = ipvsadm.parse(PRINTED)
    assert table[WEB].service == Service(WEB, "rr", persistence=300, mask="255.255.0.0")
    assert list(table.servers(WEB).values()) == [ONE.replace(weight=0)]
    gue = table.servers(ServiceKey.by_mark(5))[ServerKey("198.51.100.2", 0)]
    assert (gue.tunnel, gue.tunnel_port, gue.tunnel_checksum) == ("gue", 6080, "remcsum")


@given(tables())
def test_any_table_survives_being_written_and_read(table: Table) -> None:
    def plain(server: Server) -> Server:
        # Two methods of forwarding exist that ipvsadm has no option for.
        odd = server.forward in (Forward.LOCAL, Forward.BYPASS)
        return server.replace(forward="nat") if odd else server

    simple = Table(
        (
            entry.service,
            [
                plain(server)
                for server in entry.servers.values()
                if plain(server).key.family == key.family or server.forward == "tunnel"
            ],
        )
        for key, entry in table.items()
    )
    assert ipvsadm.parse("\n".join(ipvsadm.table_lines(simple))) == simple


def test_long_options_comments_and_the_programs_name_are_read() -> None:
    text = """
    # a comment
    ipvsadm --add-service --tcp-service 192.0.2.1:80 --scheduler rr --persistent
    ipvsadm --add-server --tcp-service 192.0.2.1:80 --real-server 198.51.100.1 --weight 2
    """
    table = ipvsadm.parse(text)
    assert table[WEB].service == Service(WEB, "rr", persistence=360)
    assert list(table.servers(WEB).values()) == [
        Server(ServerKey("198.51.100.1", 0), 2, Forward.DIRECT)
    ]


def test_marks_are_read_as_ipvsadm_prints_them() -> None:
    assert list(ipvsadm.parse("-A -f -1 -6 -s rr")) == [ServiceKey.by_mark(2**32 - 1, "ipv6")]


def test_operations_are_the_commands_that_would_do_them() -> None:
    dns = Service(ServiceKey.by_address("udp", "2001:db8::1", 53), "rr", one_packet=True)
    two = Server(ServerKey("198.51.100.2", 80), 1, "tunnel", upper=9, lower=4)
    actual = Table([(Service(WEB), [ONE, two]), (dns, [])])
    desired = Table(
        [
            (Service(WEB, "rr"), [two.replace(weight=0), Server(ServerKey("198.51.100.3", 80))]),
            (Service(ServiceKey.by_mark(9, "ipv6")), []),
        ]
    )
    assert ipvsadm.operation_lines(plan(desired, actual, [dns.key])) == [
        "ipvsadm -a -t 192.0.2.1:80 -r 198.51.100.3:80 -m -w 1",
        "ipvsadm -A -f 9 -6 -s wlc",
        "ipvsadm -E -t 192.0.2.1:80 -s rr",
        "ipvsadm -e -t 192.0.2.1:80 -r 198.51.100.2:80 -i -w 0 -x 9 -y 4 --tun-type ipip",
        "ipvsadm -d -t 192.0.2.1:80 -r 198.51.100.1:80",
        "ipvsadm -D -u [2001:db8::1]:53",
    ]
    assert ipvsadm.operation_lines(plan(desired, Table())[:1], program="") == [
        "-A -t 192.0.2.1:80 -s rr"
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("-Z", "line 1: unknown option '-Z'; use what 'ipvsadm -Sn' prints."),
        ("\n-A -t", "line 2: option -t has no value; write one after it."),
        ("-A -f - -s rr", "line 1: firewall mark '' is not a whole number."),
        ("-A -s rr", "line 1: it names no virtual service; use -t, -u, --sctp-service or -f."),
        ("-A -t 192.0.2.1:http -s rr", "line 1: port 'http' is not a whole number."),
        ("-A -t 192.0.2.999:80 -s rr", "line 1, virtual service tcp 192.0.2.999:80: "),
        ("-A -t 192.0.2.1:80 -p x", "line 1, virtual service tcp 192.0.2.1:80: persistence 'x' is"),
        ("-t 192.0.2.1:80", "line 1: it adds neither a service nor a server; use -A or -a."),
        (
            "-a -t 192.0.2.1:80 -r 198.51.100.1:80",
            "line 1: virtual service tcp 192.0.2.1:80 is not",
        ),
        ("-A -f 1 -s rr\n-A -f 1 -s rr", "line 2: virtual service mark 1 (ipv4) is there twice"),
        ("-A -f 1 -s rr\n-a -f 1 -w 1", "line 2: it names no real server; use -r."),
        ("-A -f 1\n-a -f 1 -r 198.51.100.1 -w -1", "line 2: option -w has no value"),
    ],
)
def test_bad_lines_are_told_by_number(text: str, sentence: str) -> None:
    with pytest.raises(IpvsError) as caught:
        ipvsadm.parse(text)
    assert sentence in str(caught.value)


CONTROLS = [
    (SetTimeouts(Timeouts(900, 0, 300)), "ipvsadm --set 900 0 300"),
    (
        StartDaemon(Daemon("master", "eth0")),
        "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 0",
    ),
    (
        StartDaemon(
            Daemon("backup", "eth1", syncid=9, maxlen=1400, group="ff02::81", port=8849, ttl=3)
        ),
        "ipvsadm --start-daemon backup --mcast-interface eth1 --syncid 9 --sync-maxlen 1400 "
        "--mcast-group ff02::81 --mcast-port 8849 --mcast-ttl 3",
    ),
    (StopDaemon(Role.BACKUP), "ipvsadm --stop-daemon backup"),
    (Zero(), "ipvsadm -Z"),
    (Zero(ServiceKey.by_mark(5, "ipv6")), "ipvsadm -Z -f 5 -6"),
    (Zero(ServiceKey.by_address("tcp", "2001:db8::1", 80)), "ipvsadm -Z -t [2001:db8::1]:80"),
    (Flush(), "ipvsadm -C"),
]


def test_other_commands_are_told_as_ipvsadm_takes_them() -> None:
    """The kernel tests run these very words."""
    assert ipvsadm.control_lines(control for control, _line in CONTROLS) == [
        line for _control, line in CONTROLS
    ]


def test_timeouts_and_daemons_are_read_back_with_the_table() -> None:
    lines = [line for control, line in CONTROLS if isinstance(control, (SetTimeouts, StartDaemon))]
    saved = ipvsadm.parse_all("\n".join([*lines, PRINTED, "ipvsadm --set 0 120 0"]))
    assert saved.table == ipvsadm.parse(PRINTED)
    assert saved.timeouts == Timeouts(900, 120, 300)
    assert list(saved.daemons) == [
        control.daemon
        for _role, control in sorted(
            (control.daemon.role, control)
            for control, _line in CONTROLS
            if isinstance(control, StartDaemon)
        )
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("--set 1 2", "line 1: --set has not three times; write seconds for tcp, tcpfin and udp."),
        ("--set a 2 3", "line 1: timeout 'a' is not a whole number."),
        ("--start-daemon master", "line 1: it names no interface; use --mcast-interface."),
        (
            "--start-daemon both --mcast-interface lo",
            "line 1, sync daemon both: role 'both' is unknown; use master, backup.",
        ),
        (
            "--start-daemon master --mcast-interface lo --syncid x",
            "line 1, sync daemon master: syncid 'x' is not a whole number.",
        ),
        (
            "--start-daemon master --mcast-interface lo\n" * 2,
            "line 2: sync daemon master is there twice; remove one.",
        ),
    ],
)
def test_bad_lines_about_settings_are_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(IpvsError) as caught:
        ipvsadm.parse_all(text)
    assert str(caught.value) == sentence
