# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of directives for what the kernel's IPVS can do beyond the original's ways.

Data only. Names are those of ipvsadm and keepalived; ranges and choices are the kernel's, as
ipvsadm(8) tells them.
"""

from __future__ import annotations

from .marks import MARKINGS
from .row import (
    CHOICE,
    EXTENDED,
    LIST,
    NUMBER,
    PORT,
    SERVER,
    SWITCH,
    VIRTUAL,
    Directive,
)

SCHEDULER_FLAGS = (
    "sh-fallback",
    "sh-port",
    "mh-fallback",
    "mh-port",
    "flag-1",
    "flag-2",
    "flag-3",
)
TUNNELS = ("ipip", "gue", "gre")
CHECKSUMS = ("nocsum", "csum", "remcsum")
ENGINES = ("sip",)

_CONNECTIONS_HIGH = 0x7FFFFFFF


def _threshold(name: str, known_as: str, doc: str) -> Directive:
    return Directive(
        SERVER,
        name,
        NUMBER,
        0,
        doc,
        low=0,
        high=_CONNECTIONS_HIGH,
        dialect=EXTENDED,
        known_as=(known_as,),
    )


VIRTUAL_IPVS: tuple[Directive, ...] = (
    Directive(
        VIRTUAL,
        "ports",
        LIST,
        None,
        "Several ports in place of `port`: a service for each; with `persistent` or a firewall mark"
        " one for all, so that a client stays on one server.",
        low=1,
        high=65535,
        item=PORT,
        dialect=EXTENDED,
    ),
    Directive(
        VIRTUAL,
        "marking",
        CHOICE,
        None,
        "Who marks the packets of a service with a firewall mark: auto is the agent, none somebody"
        " else; unset is none where `fwmark` is written, auto where the mark follows from `ports`.",
        choices=MARKINGS,
        dialect=EXTENDED,
        known_as=("mark", "set_mark", "fwmark_rules"),
    ),
    Directive(
        VIRTUAL,
        "scheduler_flags",
        LIST,
        None,
        "Flags of the scheduler: sh and mh have names for theirs, any other has flag-1 to flag-3.",
        choices=SCHEDULER_FLAGS,
        item=CHOICE,
        dialect=EXTENDED,
        known_as=("sched_flags", "sched-flags", "flags"),
    ),
    Directive(
        VIRTUAL,
        "ops",
        SWITCH,
        0,
        "One-packet scheduling: each UDP packet is scheduled for itself, without a connection.",
        low=0,
        high=1,
        dialect=EXTENDED,
        known_as=("one_packet", "one-packet"),
    ),
    Directive(
        VIRTUAL,
        "persistence_engine",
        CHOICE,
        None,
        "What makes packets belong together for persistence; sip takes the Call-ID.",
        choices=ENGINES,
        dialect=EXTENDED,
        known_as=("pe", "pe_name"),
    ),
    Directive(
        VIRTUAL,
        "tunnel_type",
        CHOICE,
        "ipip",
        "How packets are wrapped for the real servers; only with tunnel forwarding.",
        choices=TUNNELS,
        dialect=EXTENDED,
        known_as=("tun_type", "tun-type"),
    ),
    Directive(
        VIRTUAL,
        "tunnel_port",
        PORT,
        None,
        "UDP port at which the real servers take gue packets.",
        low=1,
        high=65535,
        dialect=EXTENDED,
        known_as=("tun_port", "tun-port"),
    ),
    Directive(
        VIRTUAL,
        "tunnel_checksum",
        CHOICE,
        "nocsum",
        "Checksum of gue and gre packets: none, an own one, or a remote one (gue).",
        choices=CHECKSUMS,
        dialect=EXTENDED,
        known_as=("tun_csum",),
    ),
)

SERVER_IPVS: tuple[Directive, ...] = (
    _threshold(
        "upper_threshold",
        "uthreshold",
        "Connections above which the kernel gives the server no new ones; 0 is no limit.",
    ),
    _threshold(
        "lower_threshold",
        "lthreshold",
        "Connections below which a server that met upper_threshold gets new ones again;"
        " 0 is three quarters of it.",
    ),
)
