# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel's error numbers mean for an operation, and how to say it in a sentence.

Pure: numbers and operations in, decisions and sentences out. kernel.py does the asking.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from enum import Enum
from typing import NamedTuple

from .errors import IpvsError
from .model import Service, ServiceKey
from .plan import Kind, Operation, takes_away
from .settings import Control, StartDaemon, StopDaemon, Zero

IN_KERNEL = "IPVS in the kernel"


class State(str, Enum):
    """What became of one operation."""

    DONE = "done"  # the wanted result is there
    REFUSED = "refused"  # by the kernel; or its outcome is not known and the result is not there
    UNDONE = "undone"  # it was done, and was undone since another one was refused
    NOT_TRIED = "not tried"  # since another one was refused before; or its service was
    WITHHELD = "withheld"  # it would have left a service without a server

    def __str__(self) -> str:
        return self.value


class Outcome(NamedTuple):
    """What became of one operation; ``error`` says why it was refused or withheld."""

    operation: Operation
    error: IpvsError | None
    state: State = State.DONE


class Report(NamedTuple):
    """What became of a list of operations, in their order.

    ``rolled_back``: one was refused, and what had been done before it was undone again.
    ``left``: why something could not be undone; empty where the table is as it was before.
    """

    outcomes: tuple[Outcome, ...]
    rolled_back: bool = False
    left: tuple[IpvsError, ...] = ()

    @property
    def errors(self) -> tuple[IpvsError, ...]:
        """The errors, first things first; empty if everything is as wanted."""
        return (*(outcome.error for outcome in self.outcomes if outcome.error), *self.left)

    @property
    def done(self) -> tuple[Operation, ...]:
        """The operations whose result is there."""
        return self._of(State.DONE)

    @property
    def undone(self) -> tuple[Operation, ...]:
        """The operations that were done and undone. Packets may have met them meanwhile."""
        return self._of(State.UNDONE)

    def _of(self, state: State) -> tuple[Operation, ...]:
        return tuple(o.operation for o in self.outcomes if o.state is state and not o.error)

    def raise_first(self) -> None:
        """Raise the first error, if there is one."""
        for error in self.errors:
            raise error

    def story(self) -> str:
        """What went wrong and what the table is now, in sentences; empty if all went well."""
        if not self.errors:
            return ""
        told = [str(error) for error in self.errors]
        undone = len(self.undone)
        if not self.rolled_back:
            kept = len(self.done)
            told.append(f"{_changes(kept)} made all the same." if kept else "Nothing was changed.")
        elif self.left:
            told.append(f"{_changes(undone)} undone; the table is not what it was before.")
        elif undone:
            told.append(f"{_changes(undone)} undone: the table is what it was before.")
        else:
            told.append("Nothing was changed.")
        return " ".join(told)


def _changes(count: int) -> str:
    return f"{count} change was" if count == 1 else f"{count} changes were"


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


def outcome_of(operation: Operation, number: int, absent: Collection[ServiceKey]) -> Outcome:
    """What the kernel's answer means; ``absent``: services whose addition was refused before.

    That their servers cannot be added either is no error of its own.
    """
    missing = number == errno.ESRCH and operation.kind is Kind.ADD_SERVER
    if missing and operation.service in absent:
        return Outcome(operation, None, State.NOT_TRIED)
    error = refusal(operation, number)
    return Outcome(operation, error, State.REFUSED if error else State.DONE)


def withheld(
    operations: Sequence[Operation], refused: Collection[Operation]
) -> dict[int, IpvsError]:
    """Which operations must not be tried, by their place, since servers to come were refused.

    A service that would get new servers and got none of them keeps those that it has: none of them
    is deleted, and no weight becomes 0.
    """
    turned_away = set(refused)
    wanted: dict[ServiceKey, list[bool]] = {}
    for operation in operations:
        if operation.kind is Kind.ADD_SERVER:
            wanted.setdefault(operation.service, []).append(operation in turned_away)
    bare = {key for key, refusals in wanted.items() if all(refusals)}
    return {
        at: IpvsError(
            str(operation),
            "not done, since none of the servers to be added to the service could be",
            "mend that first",
        )
        for at, operation in enumerate(operations)
        if operation.service in bare
        and operation.kind is not Kind.DELETE_SERVICE
        and takes_away(operation)
    }


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
    if number in (errno.EPERM, errno.EACCES):
        return _no_privilege(number)
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


def control_refusal(control: Control, number: int) -> IpvsError | None:
    """A sentence for what the kernel answered to a command that is no operation; None for done."""
    if number == 0:
        return None
    place = str(control)
    if number in (errno.EPERM, errno.EACCES):
        return _no_privilege(number)
    if isinstance(control, StartDaemon):
        reason, remedy = _START.get(number, (f"the kernel refuses it: {os.strerror(number)}", ""))
        name = control.daemon.interface
        return IpvsError(place, reason.format(name=name), remedy.format(name=name), number)
    if isinstance(control, StopDaemon) and number == errno.ESRCH:
        return IpvsError(place, "it does not run", "", number)
    if isinstance(control, Zero) and number == errno.ESRCH:
        return IpvsError(place, "the virtual service is not there", "add it first", number)
    return IpvsError(place, f"the kernel refuses it: {os.strerror(number)}", "", number)


_START = {
    errno.ENODEV: (
        "there is no interface {name} in this network namespace",
        "name one that 'ip link' shows",
    ),
    errno.ENETUNREACH: (
        "interface {name} is down, or has no address of the multicast group's family",
        "set it up and give it one",
    ),
    errno.EADDRNOTAVAIL: (
        "interface {name} has no address of the multicast group's family to send from",
        "give it one, or use a group of the other family",
    ),
    errno.EEXIST: ("one runs already", "stop it first"),
    errno.EINVAL: (
        "the kernel refuses it: a tunnel joins IPv4 and IPv6 in the table, or the group is no "
        "multicast address",
        "sync connections only where servers are of their service's family",
    ),
}


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
