# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of health check that `check` names, and the directives that go with them.

Data only, and the one place where a kind and its parameters are named: the rows of the table of
directives are made from it, the rules (check_health.py) and the agent's checks follow it.
"""

from __future__ import annotations

from typing import NamedTuple

from .row import (
    CHOICE,
    EXTENDED,
    HOST,
    LIST,
    NUMBER,
    PATH,
    PORT,
    QUOTED,
    SECONDS,
    SERVER,
    SWITCH,
    TEXT,
    VIRTUAL,
    Directive,
)

TCP = "tcp"
TLS = "tls"
UDP = "udp"
ICMP = "icmp"
PROGRAM = "program"
SERVICE = "service"


class CheckKind(NamedTuple):
    """One kind of check.

    transport: tcp, tls (TLS over TCP), udp, icmp, program, or service: as the virtual server's
    protocol says. takes: directives that it heeds. needs: those of them that must be written.
    """

    name: str
    transport: str
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_TLS = ("check_tls_verify", "check_server_name", "check_ca_file", "check_certificate_days")
_HTTP = (
    "check_method",
    "check_path",
    "check_host",
    "check_headers",
    "check_status",
    "check_body",
    "check_body_regex",
)

CHECK_KINDS: dict[str, CheckKind] = {
    kind.name: kind
    for kind in (
        CheckKind("tcp", TCP, ("send", "expect", "use_regex")),
        CheckKind("http", TCP, _HTTP),
        CheckKind("https", TLS, _HTTP + _TLS),
        CheckKind("tls", TLS, _TLS),
        CheckKind("udp", UDP, ("send", "expect", "use_regex"), ("send",)),
        CheckKind("icmp", ICMP),
        CheckKind("dns", SERVICE, ("check_query", "check_query_type")),
        CheckKind("smtp", TCP, ("check_helo",)),
        CheckKind("redis", TCP),
        CheckKind("postgres", TCP, ("check_user",)),
        CheckKind("mysql", TCP, ("check_user",)),
        CheckKind("program", PROGRAM, ("send_program", "expect"), ("send_program",)),
        CheckKind("agent", TCP, ("send",)),
    )
}

CONVERSATION = ("send", "expect", "use_regex", "send_program")
"""Directives of the original that say what a check does; a kind that has no use for one says so."""

_YEAR = 31536000
_DAYS = 3650

DNS_TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
METHODS = ("GET", "HEAD", "OPTIONS")


def _row(
    name: str, kind: str, default: int | str | None, doc: str, where: str = VIRTUAL
) -> Directive:
    return Directive(where, name, kind, default, doc, dialect=EXTENDED)


VIA_SERVER, VIA_VIRTUAL = "server", "virtual"


def _choice(name: str, default: str | None, choices: tuple[str, ...], doc: str) -> Directive:
    return Directive(VIRTUAL, name, CHOICE, default, doc, choices=choices, dialect=EXTENDED)


def _seconds(name: str, doc: str) -> Directive:
    return Directive(VIRTUAL, name, SECONDS, None, doc, low=0.01, high=_YEAR, dialect=EXTENDED)


def _port(where: str, doc: str) -> Directive:
    return Directive(where, "check_port", PORT, None, doc, low=1, high=65535, dialect=EXTENDED)


VIRTUAL_CHECKS: tuple[Directive, ...] = (
    _choice(
        "check",
        None,
        tuple(CHECK_KINDS),
        "How real servers are checked; unset, send, expect and send_program decide.",
    ),
    _seconds("check_interval", "Time between two checks of a server; timeout if unset."),
    _seconds(
        "check_fast_interval",
        "Time between two checks while a state is about to change; check_interval if unset.",
    ),
    _seconds(
        "check_timeout",
        "Time that a whole check may take; the smaller of timeout and check_interval if unset.",
    ),
    Directive(
        VIRTUAL,
        "check_via",
        CHOICE,
        VIA_SERVER,
        "Which address a check connects to: the real server's, or the virtual one, as clients do;"
        " for direct and tunnel forwarding.",
        choices=(VIA_SERVER, VIA_VIRTUAL),
        dialect=EXTENDED,
        known_as=("transparent", "check_transparent", "check_through"),
    ),
    _row("check_address", HOST, None, "Address that is checked instead of the real server's."),
    _port(VIRTUAL, "Port that is checked instead of the real server's."),
    _choice("check_method", "GET", METHODS, "Method of an HTTP check."),
    _row("check_path", QUOTED, "/", "Path that an HTTP check asks for, with its query."),
    _row("check_host", TEXT, None, "Host header of an HTTP check; the checked address if unset."),
    _row("check_headers", LIST, None, "More headers of an HTTP check, each as `Name: value`."),
    _row(
        "check_status",
        TEXT,
        "200-399",
        "Status codes that are good, as numbers and ranges with commas: 200,301-302.",
    ),
    _row("check_body", QUOTED, None, "Text that the answer to an HTTP check must contain."),
    _row(
        "check_body_regex",
        QUOTED,
        None,
        "Extended regular expression that the answer to an HTTP check must match.",
    ),
    Directive(
        VIRTUAL,
        "check_tls_verify",
        SWITCH,
        0,
        "Whether the certificate must be valid for the server's name and signed by a known CA.",
        low=0,
        high=1,
        dialect=EXTENDED,
    ),
    _row(
        "check_server_name",
        TEXT,
        None,
        "Name asked for in TLS and expected in the certificate; check_host if unset.",
    ),
    _row("check_ca_file", PATH, None, "Certificates of trusted CAs; the system's if unset."),
    Directive(
        VIRTUAL,
        "check_certificate_days",
        NUMBER,
        0,
        "Warn when the certificate expires within so many days; 0 never warns.",
        low=0,
        high=_DAYS,
        dialect=EXTENDED,
    ),
    _row("check_query", TEXT, ".", "Name that a DNS check asks for."),
    _choice("check_query_type", "SOA", DNS_TYPES, "Type of record that a DNS check asks for."),
    _row("check_helo", TEXT, "localhost", "Name that an SMTP check greets with."),
    _row(
        "check_user",
        TEXT,
        None,
        "User of a postgres or mysql check, without password; any orderly answer is good.",
    ),
)

SERVER_CHECKS: tuple[Directive, ...] = (
    _row(
        "check_address",
        HOST,
        None,
        "Address that is checked instead of the real server's; the virtual server's if unset.",
        SERVER,
    ),
    _port(SERVER, "Port that is checked; the virtual server's check_port if unset."),
    _row(
        "check_path",
        QUOTED,
        None,
        "Path that an HTTP check asks for; the virtual server's if unset.",
        SERVER,
    ),
    _row(
        "check_host",
        TEXT,
        None,
        "Host header of an HTTP check; the virtual server's if unset.",
        SERVER,
    ),
    _row(
        "check_server_name",
        TEXT,
        None,
        "Name asked for in TLS; the virtual server's if unset.",
        SERVER,
    ),
)

INHERITED: tuple[str, ...] = tuple(row.name for row in SERVER_CHECKS)
"""Directives of a server that follow its virtual server's where they are not written."""
