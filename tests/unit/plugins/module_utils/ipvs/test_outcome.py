# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What error numbers of the kernel mean: forgiven, tried the other way, or said in a sentence."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.outcome import (
    Outcome,
    Report,
    refusal,
    second_try,
    spoken,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import Kind, Operation

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.1", 80), "wlc")
CALLS = Service(ServiceKey.by_address("udp", "192.0.2.1", 5060), "rr", engine="sip")
ONE = Server(ServerKey("198.51.100.1", 80))
OTHER_FAMILY = Server(ServerKey("2001:db8::1", 80), 1, "tunnel")


def service_operation(kind: Kind, service: Service = WEB) -> Operation:
    gone = kind is Kind.DELETE_SERVICE
    return Operation(kind, service.key, service if gone else None, None if gone else service)


def server_operation(kind: Kind, server: Server = ONE) -> Operation:
    gone = kind is Kind.DELETE_SERVER
    return Operation(kind, WEB.key, server if gone else None, None if gone else server)


@pytest.mark.parametrize(
    ("operation", "number", "then"),
    [
        (service_operation(Kind.ADD_SERVICE), errno.EEXIST, Kind.EDIT_SERVICE),
        (service_operation(Kind.EDIT_SERVICE), errno.ESRCH, Kind.ADD_SERVICE),
        (server_operation(Kind.ADD_SERVER), errno.EEXIST, Kind.EDIT_SERVER),
        (server_operation(Kind.EDIT_SERVER), errno.ENOENT, Kind.ADD_SERVER),
    ],
)
def test_a_table_that_changed_meanwhile_is_met_with_the_other_operation(
    operation: Operation, number: int, then: Kind
) -> None:
    again = second_try(operation, number)
    assert again is not None
    assert again.kind is then
    assert again.after == operation.after


@pytest.mark.parametrize("number", [0, None, errno.EPERM, errno.EINVAL])
def test_nothing_else_is_tried_twice(number: int | None) -> None:
    for kind in (Kind.ADD_SERVICE, Kind.EDIT_SERVICE, Kind.DELETE_SERVICE):
        assert second_try(service_operation(kind), number) is None
    for kind in (Kind.ADD_SERVER, Kind.EDIT_SERVER, Kind.DELETE_SERVER):
        assert second_try(server_operation(kind), number) is None
    # An unknown scheduler would stay unknown.
    assert second_try(service_operation(Kind.EDIT_SERVICE), errno.ENOENT) is None


def test_what_is_gone_already_needs_no_deleting() -> None:
    assert refusal(service_operation(Kind.DELETE_SERVICE), errno.ESRCH) is None
    assert refusal(server_operation(Kind.DELETE_SERVER), errno.ENOENT) is None
    assert refusal(server_operation(Kind.DELETE_SERVER), errno.ESRCH) is None
    assert refusal(service_operation(Kind.ADD_SERVICE), 0) is None
    assert refusal(server_operation(Kind.EDIT_SERVER), errno.ENOENT) is not None


@pytest.mark.parametrize(
    ("operation", "number", "sentence"),
    [
        (
            service_operation(Kind.ADD_SERVICE),
            errno.ENOENT,
            "add service tcp 192.0.2.1:80: the kernel does not know scheduler wlc; "
            "choose another one or provide the kernel module ip_vs_wlc.",
        ),
        (
            service_operation(Kind.ADD_SERVICE, CALLS),
            errno.ENOENT,
            "add service udp 192.0.2.1:5060: the kernel does not know scheduler rr, or not the "
            "persistence engine sip; choose another one or provide the kernel module ip_vs_rr "
            "(for the engine ip_vs_pe_sip).",
        ),
        (
            service_operation(Kind.ADD_SERVICE),
            errno.EAFNOSUPPORT,
            "add service tcp 192.0.2.1:80: this kernel's IPVS has no IPv6; use IPv4.",
        ),
        (
            server_operation(Kind.ADD_SERVER),
            errno.ESRCH,
            "add server 198.51.100.1:80 of tcp 192.0.2.1:80: the virtual service is not there; "
            "add it first.",
        ),
        (service_operation(Kind.ADD_SERVICE), errno.EEXIST, "another program adds and deletes it"),
        (service_operation(Kind.EDIT_SERVICE), errno.ESRCH, "another program adds and deletes it"),
        (server_operation(Kind.ADD_SERVER), errno.EEXIST, "another program adds and deletes it"),
        (server_operation(Kind.EDIT_SERVER), errno.ENOENT, "another program adds and deletes it"),
        (server_operation(Kind.ADD_SERVER), errno.EINVAL, "use a unicast address"),
        (server_operation(Kind.ADD_SERVER, OTHER_FAMILY), errno.EINVAL, "stop the sync daemon"),
        (server_operation(Kind.EDIT_SERVER), errno.ENOBUFS, "the kernel's answer was lost"),
        (
            server_operation(Kind.EDIT_SERVER),
            errno.ENOMEM,
            f"the kernel refuses it: {os.strerror(errno.ENOMEM)}.",
        ),
    ],
)
def test_refusals_are_one_sentence(operation: Operation, number: int, sentence: str) -> None:
    error = refusal(operation, number)
    assert error is not None
    assert sentence in str(error)
    assert "\n" not in str(error)
    assert error.errno == number


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError(errno.EPERM, "no"),
            "IPVS in the kernel: this process may not read or change the table; "
            "run it as root or with the capability CAP_NET_ADMIN.",
        ),
        (FileNotFoundError(errno.ENOENT, "no"), "this kernel has no IPVS"),
        (OSError(errno.EAFNOSUPPORT, "no"), "this system has no generic netlink"),
        (BlockingIOError(errno.EAGAIN, "no"), "the kernel did not answer in time; try again."),
        (OSError(errno.ENOMEM, "out of memory"), "netlink failed: out of memory."),
        (ValueError("a netlink message of 3 bytes"), "cannot be read: a netlink message of 3"),
    ],
)
def test_what_the_socket_says_is_one_sentence(error: OSError | ValueError, sentence: str) -> None:
    assert sentence in str(spoken(error))


def test_a_report_tells_errors_in_order_and_what_is_done() -> None:
    first, second, third = (server_operation(Kind.ADD_SERVER) for _unused in range(3))
    bad = refusal(second, errno.ENOMEM)
    worse = refusal(third, errno.EINVAL)
    report = Report((Outcome(first, None), Outcome(second, bad), Outcome(third, worse)))
    assert report.errors == (bad, worse)
    assert report.done == (first,)
    with pytest.raises(type(bad), match="refuses it"):  # type: ignore[arg-type]
        report.raise_first()
    Report(()).raise_first()
