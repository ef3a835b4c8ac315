# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the directives of a virtual server, and of one of its servers, to CheckSettings. Pure.

Their values have passed the language's own readers, which are used here again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from piranha.core.lvs_cf.check_health import dns_name, header, status_ranges
from piranha.core.lvs_cf.checks import INHERITED, VIA_VIRTUAL
from piranha.core.lvs_cf.config import Section
from piranha.core.lvs_cf.values import is_address

from .spec import CheckSettings, TlsWish, Wanted

Resolve = Callable[[str | None], str | None]
"""An address or a host name -> the address, or None."""

_Value = TypeVar("_Value")


def check_settings(virtual: Section, resolve: Resolve) -> CheckSettings:
    """How the servers of a virtual server are checked that say nothing else."""
    return CheckSettings(
        protocol=_set(virtual.text("protocol")),
        virtual_port=_set(virtual.number("port")),
        timeout=_set(virtual.seconds("timeout")),
        send=virtual.text("send"),
        expect=virtual.text("expect"),
        send_program=virtual.text("send_program"),
        use_regex=virtual.flag("use_regex"),
        kind=virtual.text("check"),
        interval=virtual.seconds("check_interval"),
        fast=virtual.seconds("check_fast_interval"),
        limit=virtual.seconds("check_timeout"),
        address=resolve(virtual.text("check_address")),
        port=virtual.number("check_port"),
        wanted=_wanted(virtual) if virtual["check"] is not None else Wanted(),
        tls=TlsWish(
            verify=virtual.flag("check_tls_verify"),
            server_name=_server_name(virtual),
            ca_file=virtual.text("check_ca_file"),
            days=virtual.number("check_certificate_days") or 0,
        ),
        via_virtual=virtual.text("check_via") == VIA_VIRTUAL,
    )


def for_server(common: CheckSettings, server: Section, resolve: Resolve) -> CheckSettings:
    """The same for one server, with what it says itself."""
    if server.written.keys().isdisjoint(INHERITED):
        return common
    return replace(
        common,
        address=resolve(server.text("check_address")),
        port=server.number("check_port"),
        wanted=replace(
            common.wanted,
            path=server.text("check_path") or common.wanted.path,
            host=server.text("check_host") or "",
        ),
        tls=replace(common.tls, server_name=_server_name(server)),
    )


def _wanted(virtual: Section) -> Wanted:
    body, regex = virtual.text("check_body"), virtual.text("check_body_regex")
    return Wanted(
        method=_set(virtual.text("check_method")),
        path=_set(virtual.text("check_path")),
        host=virtual.text("check_host") or "",
        headers=tuple(header(str(text)) for text in _list(virtual["check_headers"])),
        status=status_ranges(_set(virtual.text("check_status"))),
        body=(body or "").encode("utf-8", "surrogateescape"),
        body_regex=(regex or "").encode("utf-8", "surrogateescape"),
        query=dns_name(_set(virtual.text("check_query"))),
        query_type=_set(virtual.text("check_query_type")),
        helo=_set(virtual.text("check_helo")),
        user=virtual.text("check_user"),
    )


def _server_name(section: Section) -> str | None:
    """The name for TLS; a Host header that is a name (perhaps with a port) will do."""
    name = section.text("check_server_name")
    if name is None:
        host = section.text("check_host") or ""
        name = host if host.count(":") > 1 else host.partition(":")[0]
    return name if name and not is_address(name) and not name.startswith("[") else None


def _list(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _set(value: _Value | None) -> _Value:
    """Give the value of a directive that has a default, and so always has a value."""
    if value is None:
        raise TypeError("a directive with a default has no value")
    return value
