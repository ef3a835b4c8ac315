# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel in memory behind the interface of the real one (port.Port), for tests without IPVS.

It knows what plan.apply_to() knows, answers with the error numbers that the real one gives (the
kernel tests run the same cases on both), and fails where it is told to.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.codec import (
    Counters,
    ServerRow,
    ServiceRow,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Entry,
    Forward,
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import (
    Kind,
    Operation,
    apply_to,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.port import AnswersLost, Command
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import (
    Daemon,
    Information,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)

ZEROES = Counters(*[0] * len(Counters._fields))
SCHEDULERS = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]
INTERFACES = {"lo": 65536, "eth0": 1500}


class MemoryPort:
    """A table, timeouts and daemons in memory.

    Give it to ``Kernel(port=MemoryPort(table))``.

    Attributes:
        table: as it is; tests may set it, as another program would.
        connections: active, inactive and persistent ones of a server, where not 0.
        counted: counters of a service (key, None) or a server, where not 0.
        sent: every message ever sent, in order.
        failing: place in ``sent`` -> error number that this message gets; None for a message whose
            answer is lost; an exception for the socket's end in its place.
        silent: whether a message whose answer is lost is carried out.
        meanwhile: called before every message with its place: what another program does.
        split: lists longer than this come in several pieces, not of one moment.
    """

    def __init__(self, table: Table | None = None) -> None:
        self._entries: dict[ServiceKey, Entry] = {}
        self._table: Table | None = None
        self.table = table if table is not None else Table()
        self.connections: dict[tuple[ServiceKey, ServerKey], tuple[int, int, int]] = {}
        self.counted: dict[tuple[ServiceKey, ServerKey | None], Counters] = {}
        self.running: dict[Role, Daemon] = {}
        self.times = Timeouts(900, 120, 300)
        self.sent: list[Command] = []
        self.failing: dict[int, int | OSError | None] = {}
        self.meanwhile: Callable[[int], None] = lambda _place: None
        self.silent = True
        self.split = 1000
        self.lost_dumps = 0
        self.reads = 0

    @property
    def table(self) -> Table:
        """As it is, made when somebody asks: benchmarks change large ones a thousand times."""
        if self._table is None:
            self._table = Table.of_entries(self._entries)
        return self._table

    @table.setter
    def table(self, table: Table) -> None:
        self._table, self._entries = table, dict(table)

    def close(self) -> None:
        """Nothing is open."""

    def services(self, counters: bool) -> tuple[list[ServiceRow], bool]:
        """See Port."""
        self._asked()
        rows = [self._row(entry.service, counters) for entry in self._entries.values()]
        return rows, len(rows) <= self.split

    def service(self, key: ServiceKey, counters: bool) -> ServiceRow | None:
        """See Port."""
        self._asked()
        entry = self._entries.get(key)
        return None if entry is None else self._row(entry.service, counters)

    def servers(self, key: ServiceKey, counters: bool) -> tuple[list[ServerRow], bool]:
        """See Port."""
        self._asked()
        rows = []
        for server in self._entries[key].servers.values() if key in self._entries else ():
            place = (key, server.key)
            tallies = self.counted.get(place, ZEROES) if counters else None
            rows.append(ServerRow(server, *self.connections.get(place, (0, 0, 0)), tallies))
        return rows, len(rows) <= self.split

    def _row(self, service: Service, counters: bool) -> ServiceRow:
        told = self.counted.get((service.key, None), ZEROES) if counters else None
        return ServiceRow(service, told)

    def _asked(self) -> None:
        self.reads += 1
        if self.lost_dumps:
            self.lost_dumps -= 1
            raise AnswersLost

    def timeouts(self) -> Timeouts:
        """See Port."""
        return self.times

    def daemons(self) -> tuple[Daemon, ...]:
        """See Port."""
        return tuple(self.running.values())

    def information(self) -> Information:
        """See Port."""
        return Information("1.2.1", 4096)

    def send(self, commands: Sequence[Command]) -> list[int | None]:
        """See Port."""
        numbers: list[int | None] = []
        for command in commands:
            place = len(self.sent)
            self.meanwhile(place)
            self.sent.append(command)
            told = self.failing.get(place, 0)
            if isinstance(told, OSError):
                raise told
            if told:
                numbers.append(told)
                continue
            number = 0 if told is None and not self.silent else self._carry_out(command)
            numbers.append(None if told is None else number)
        return numbers

    def _carry_out(self, command: Command) -> int:
        if isinstance(command, Operation):
            return self._change(command)
        if isinstance(command, SetTimeouts):
            self.times = command.timeouts.over(self.times)
        elif isinstance(command, StartDaemon):
            return self._start(command.daemon)
        elif isinstance(command, StopDaemon):
            return 0 if self.running.pop(command.role, None) else errno.ESRCH
        elif isinstance(command, Zero):
            if command.service is not None and command.service not in self._entries:
                return errno.ESRCH
            for place in [p for p in self.counted if command.service in (None, p[0])]:
                del self.counted[place]
        else:
            self.table = Table()
        return 0

    def _start(self, daemon: Daemon) -> int:
        if self._mixed():
            return errno.EINVAL
        if daemon.interface not in INTERFACES:
            return errno.ENODEV
        if daemon.role in self.running:
            return errno.EEXIST
        longest = min(INTERFACES[daemon.interface], 1500) - (48 if ":" in daemon.group else 28)
        self.running[daemon.role] = daemon.replace(maxlen=daemon.maxlen or longest)
        return 0

    def _mixed(self) -> bool:
        return any(
            server.key.family != key.family
            for key, entry in self._entries.items()
            for server in entry.servers.values()
        )

    def _change(self, operation: Operation) -> int:
        key, subject = operation.service, operation.subject
        entry = self._entries.get(key)
        if isinstance(subject, Service):
            if (entry is not None) == (operation.kind is Kind.ADD_SERVICE):
                return errno.EEXIST if entry is not None else errno.ESRCH
            if operation.after is not None and subject.scheduler not in SCHEDULERS:
                return errno.ENOENT
        else:
            number = self._server_refused(operation, subject)
            if number:
                return number
        try:
            after = apply_to(Table.of_entries({} if entry is None else {key: entry}), [operation])
        except IpvsError:
            return errno.EINVAL
        self._table = None
        if key in after:
            self._entries[key] = after[key]
        else:
            del self._entries[key]
        return 0

    def _server_refused(self, operation: Operation, server: Server) -> int:
        entry = self._entries.get(operation.service)
        if entry is None:
            return errno.ESRCH
        joins = server.key.family != operation.service.family
        joined = server.forward is Forward.TUNNEL and not self.running
        if joins and not joined and operation.kind is not Kind.DELETE_SERVER:
            return errno.EINVAL
        there = server.key in entry.servers
        if operation.kind is Kind.ADD_SERVER:
            return errno.EEXIST if there else 0
        return 0 if there else errno.ENOENT


def others_do(port: MemoryPort, at: int, operations: Iterable[Operation]) -> Callable[[int], None]:
    """What ``meanwhile`` may be: another program's operations, before message number ``at``."""

    def meanwhile(place: int) -> None:
        if place == at:
            port.table = apply_to(port.table, operations)

    return meanwhile
