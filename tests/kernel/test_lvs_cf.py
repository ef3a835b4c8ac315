# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From lvs.cf to the kernel: what the file says of IPVS stands in the table, as ipvsadm reads."""

from __future__ import annotations

from piranha.core.ipvs.kernel import Kernel
from piranha.core.ipvs.model import Table
from piranha.core.ipvs.plan import plan
from piranha.core.lvs_cf import api
from piranha.lvsd.desired import desired
from piranha.lvsd.layout import layout
from piranha.nanny.verdict import State, Verdict

from . import readers

GLOBALS = "primary = 192.0.2.254\nnat_router = 198.51.100.254 eth1:1\n"


def in_the_kernel(text: str) -> list[str]:
    """What ipvsadm saves once every server of the configuration is up."""
    loaded = api.load(GLOBALS + text)
    assert loaded.errors == []
    laid = layout(loaded.config)
    up = {server.id: Verdict(State.UP, 0.0, "told by the test") for _v, server in laid.servers()}
    with Kernel() as kernel:
        kernel.apply(plan(desired(laid, up), Table(), [])).raise_first()
    return sorted(readers.saved())


def test_tunnel_thresholds_scheduler_flags_engine_and_one_packet() -> None:
    assert in_the_kernel(
        """\
virtual sip {
    active = 1
    address = 192.0.2.1
    protocol = udp
    port = 5060
    send = x
    forward = tunnel
    tunnel_type = gue
    tunnel_port = 6080
    tunnel_checksum = remcsum
    scheduler = mh
    scheduler_flags = [ mh-port mh-fallback ]
    persistent = 60
    persistence_engine = sip
    ops = 1
    server one {
        address = 198.51.100.1
        active = 1
        weight = 3
        upper_threshold = 100
        lower_threshold = 50
    }
}
"""
    ) == [
        "-A -u 192.0.2.1:5060 -s mh -p 60 --pe sip -o -b mh-fallback,mh-port",
        "-a -u 192.0.2.1:5060 -r 198.51.100.1:5060 -i -w 3"
        " --tun-type gue --tun-port 6080 --tun-remcsum",
    ]
    # ipvsadm saves no thresholds, but lists them: upper, lower.
    (listed,) = [
        line.split()
        for line in readers.ipvsadm("-Ln", "--thresholds").splitlines()
        if "198.51.100.1" in line
    ]
    assert listed[2:4] == ["100", "50"]


def test_ports_protocols_and_families() -> None:
    assert in_the_kernel(
        """\
virtual web {
    active = 1
    address = 192.0.2.1
    ports = [ http https ]
    scheduler = sed
    server one {
        address = 198.51.100.1
        active = 1
    }
    server two {
        address = 198.51.100.2
        active = 1
        port = 8080
    }
}
virtual six {
    active = 1
    address = 2001:db8::1
    port = 53
    protocol = sctp
    send_program = /bin/true
    forward = direct
    server one {
        address = 2001:db8:1::1
        active = 1
    }
}
"""
    ) == sorted(
        [
            "-A -t 192.0.2.1:80 -s sed",
            "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 1",
            "-a -t 192.0.2.1:80 -r 198.51.100.2:8080 -m -w 1",
            "-A -t 192.0.2.1:443 -s sed",
            "-a -t 192.0.2.1:443 -r 198.51.100.1:443 -m -w 1",
            "-a -t 192.0.2.1:443 -r 198.51.100.2:8080 -m -w 1",
            "-A --sctp-service [2001:db8::1]:53 -s wlc",
            "-a --sctp-service [2001:db8::1]:53 -r [2001:db8:1::1]:53 -g -w 1",
        ]
    )


def test_several_ports_with_a_mark_keep_the_packets_port() -> None:
    lines = in_the_kernel(
        """\
virtual shop {
    active = 1
    address = 192.0.2.1
    ports = [ 80 443 ]
    fwmark = 7
    persistent = 300
    pmask = /24
    server one {
        address = 198.51.100.1
        active = 1
    }
}
"""
    )
    assert lines == ["-A -f 7 -s wlc -p 300 -M 255.255.255.0", "-a -f 7 -r 198.51.100.1:0 -m -w 1"]
