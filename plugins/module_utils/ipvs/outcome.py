# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's error numbers mean for an operation, and how to say it in a sentence.

Pure: numbers and operations in, decisions and sentences out. kernel.py does the asking.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from .errors import IpvsError
from .model import Service
from .plan import Kind, Operation

IN_KERNEL = "IPVS in the kernel"


class Outcome(NamedTuple):
    """What became of one operation: ``error`` is None where the wanted result is there."""

    operation: Operation
    error: IpvsError | None


class Report(NamedTuple):
    """What became of a list of operations, in their order."""

    outcomes: tuple[Outcome, ...]

    @property
    def errors(self) -> tuple[IpvsError, ...]:
        """The errors, first things first; empty if everything is as wanted."""
        return tuple(outcome.error for outcome in self.outcomes if outcome.error)

    @property
    def done(self) -> tuple[Operation, ...]:
        """The operations whose result is there."""
        return tuple(outcome.operation for outcome in self.outcomes if not outcome.error)

    def raise_first(self) -> None:
        """Raise the first error, if there is one."""
        for error in self.errors:
            raise error


# What another message may still bring about, where the first one met a table that had changed
# meanwhile. A pair that is not here is a real error.
_SECOND_TRY = {
    (Kind.ADD_SERVICE, errno.EEXIST): Kind.EDIT_SERVICE,
    (Kind.EDIT_SERVICE, errno.ESRCH): Kind.ADD_SERVICE,
    (Kind.ADD_SERVER, errno.EEXIST): Kind.EDIT_SERVER,
    (Kind.ADD_SERVER, errno.ESRCH): Kind.ADD_SERVER,
    (Kind.EDIT_SERVER, errno.ENOENT): Kind.ADD_SERVER,
    (Kind.EDIT_SERVER, errno.ESRCH): Kind.ADD_SERVER,
}
_GONE = {Kind.DELETE_SERVICE: (errno.ESRCH,), Kind.DELETE_SERVER: (errno.ESRCH, errno.ENOENT)}


def second_try(operation: Operation, number: int | None) -> Operation | None:
    """The operation that may still bring about what is wanted after error ``number``, or None."""
    if number is None:
        return None
    kind = _SECOND_TRY.get((operation.kind, number))
    return operation._replace(kind=kind) if kind else None


def no_ipvs() -> IpvsError:
    """The sentence for a kernel without the family IPVS."""
    return IpvsError(
        IN_KERNEL,
        "this kernel has no IPVS (its netlink family is not registered)",
        "load it with 'modprobe ip_vs', or install a kernel that has it",
        errno.ENOENT,
    )


def _no_privilege(number: int) -> IpvsError:
    return IpvsError(
        IN_KERNEL,
        "this process may not read or change the table",
        "run it as root or with the capability CAP_NET_ADMIN",
        number,
    )


def spoken(error: OSError | ValueError) -> IpvsError:
    """A sentence for what the socket or the codec says."""
    if isinstance(error, ValueError):
        return IpvsError(
            IN_KERNEL, f"the kernel's answer cannot be read: {error}", "report it as a bug"
        )
    if error.errno == errno.ENOENT:  # the family went while we knew its number: module unloaded
        return no_ipvs()
    if error.errno in (errno.EPERM, errno.EACCES):
        return _no_privilege(error.errno)
    if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return IpvsError(IN_KERNEL, "this system has no generic netlink", "use Linux", error.errno)
    if error.errno == errno.EAGAIN:
        return IpvsError(IN_KERNEL, "the kernel did not answer in time", "try again", error.errno)
    return IpvsError(IN_KERNEL, f"netlink failed: {error.strerror}", "", error.errno)


def refusal(operation: Operation, number: int) -> IpvsError | None:
    """A sentence for what the kernel answered to an operation; None where it is as wanted."""
    if number == 0 or number in _GONE.get(operation.kind, ()):
        return None
    place = str(operation)
    subject = operation.subject
    if number == errno.EEXIST:
        return _contested(place, number)
    if isinstance(subject, Service):
        if number == errno.ENOENT:
            return _missing_module(place, subject)
        if number == errno.ESRCH:
            return _contested(place, number)
        if number == errno.EAFNOSUPPORT:
            return IpvsError(place, "this kernel's IPVS has no IPv6", "use IPv4", number)
    elif number == errno.ESRCH:
        return IpvsError(place, "the virtual service is not there", "add it first", number)
    elif number == errno.ENOENT:
        return _contested(place, number)
    elif number == errno.EINVAL and subject.key.family != operation.service.family:
        return IpvsError(
            place,
            "the kernel joins IPv4 and IPv6 only by tunnel and only while no sync daemon runs",
            "stop the sync daemon or use an address of the service's family",
            number,
        )
    elif number == errno.EINVAL:
        return IpvsError(
            place,
            "the kernel refuses the address or the tunnel settings",
            "use a unicast address, and see that this host has an interface that is up",
            number,
        )
    if number == errno.ENOBUFS:
        return IpvsError(
            place,
            "the kernel's answer was lost and the table is not as wanted",
            "try again",
            number,
        )
    return IpvsError(place, f"the kernel refuses it: {os.strerror(number)}", "", number)


def _contested(place: str, number: int) -> IpvsError:
    return IpvsError(
        place,
        "another program adds and deletes it at the same time",
        "try again, and see who else changes the table",
        number,
    )


def _missing_module(place: str, service: Service) -> IpvsError:
    reason = f"the kernel does not know scheduler {service.scheduler}"
    remedy = f"choose another one or provide the kernel module ip_vs_{service.scheduler}"
    if service.engine:
        reason += f", or not the persistence engine {service.engine}"
        remedy += f" (for the engine ip_vs_pe_{service.engine})"
    return IpvsError(place, reason, remedy, errno.ENOENT)
