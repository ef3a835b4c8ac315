# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ipvs_server does: one real server present, absent or drained.

Private to this collection. When a real server is drained is decided in ipvs_drain.py.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..ipvs.data import key_from_data, server_data
from ..ipvs.errors import IpvsError
from ..ipvs.kernel import Kernel
from ..ipvs.model import Entry, ServerKey, ServiceKey, Table
from ..ipvs.plan import plan
from . import ipvs_drain
from .ipvs_options import placed, server_key
from .ipvs_states import Goal
from .ipvs_work import Failure, carry_out, guarded

EXPIRE_QUIESCENT = Path("/proc/sys/net/ipv4/vs/expire_quiescent_template")


def run_server(module: AnsibleModule) -> None:
    """The module ipvs_server."""
    guarded(module, lambda kernel: _Task(module, kernel).run())


class _Task:
    """One run of the module."""

    def __init__(self, module: AnsibleModule, kernel: Kernel) -> None:
        self.module = module
        self.kernel = kernel
        self.state: str = module.params["state"]
        self.service: ServiceKey = key_from_data(module.params["service"], "service")
        self.named: ServerKey = server_key(module.params, self.service)
        self.key = self.named  # until it is known that another port counts
        for name, least in (("timeout", 0), ("interval", 1)):
            if module.params[name] < least:
                raise IpvsError(
                    name,
                    f"{module.params[name]} is not a number of seconds from {least}",
                    "the defaults are 300 and 2",
                )

    def run(self) -> dict[str, Any]:
        done = carry_out(self.module, self.kernel, self.decide, [self.service])
        before = done.before.servers(self.service).get(self.key)
        told = {
            **done.told,
            "service": str(self.service),
            "server": str(self.key),
            "before": server_data(before) if before else None,
        }
        after = done.after
        if self.state == "drained":
            told.update(self._looked() if self.module.check_mode else self._waited(told))
            if not self.module.check_mode:
                after = self.kernel.read([self.service])
        server = after.servers(self.service).get(self.key)
        return {**told, "after": server_data(server) if server else None}

    def decide(self, actual: Table) -> Goal:
        """What is to be done; pure but for the server's key, whose port it may learn."""
        about = frozenset([self.service])
        entry = actual.get(self.service)
        if entry is None:
            if self.state == "present":
                raise IpvsError(
                    f"real server {self.key}",
                    f"its virtual service {self.service} is not there",
                    "add it first, with ipvs_service or ipvs_table",
                )
            return Goal(about, ())
        wanted, warnings = placed(self.module.params, entry.service, self.named, actual)
        self.key = wanted.key
        servers = {key: server for key, server in entry.servers.items() if key != self.key}
        if self.state == "present":
            servers[self.key] = wanted
        elif self.state == "drained":
            self._demand_expiry(entry)
            if self.key in entry.servers:
                servers[self.key] = entry.servers[self.key].replace(weight=0)
        operations = plan(Table([(entry.service, servers.values())]), actual)
        return Goal(about, operations, warnings if self.state == "present" else ())

    # Draining

    def _demand_expiry(self, entry: Entry) -> None:
        """Persistent clients must be let go where the task says so. IpvsError."""
        if self.module.params["persistence"] != ipvs_drain.EXPIRE or not entry.service.persistence:
            return
        try:
            expires = EXPIRE_QUIESCENT.read_text(encoding="ascii").strip() == "1"
        except OSError:
            expires = False
        if not expires:
            raise IpvsError(
                f"real server {self.key}",
                "persistence: expire would not let its clients go, since "
                "net.ipv4.vs.expire_quiescent_template is not 1",
                "set that sysctl or use persistence: honour",
            )

    def _connections(self) -> dict[str, int] | None:
        snapshot = self.kernel.snapshot(counters=False, only=[self.service])
        row = snapshot.servers.get((self.service, self.key))
        if row is None:
            return None
        return {"active": row.active, "inactive": row.inactive, "persistent": row.persistent}

    def _waiting_for(self, connections: dict[str, int] | None) -> dict[str, int]:
        if connections is None:
            return {}
        how = self.module.params["persistence"]
        return ipvs_drain.waited_for(connections, self.service.protocol, how)

    def _looked(self) -> dict[str, Any]:
        """What a run under check mode tells: it looks, and waits for nothing."""
        connections = self._connections()
        return {
            "drained": None,
            "connections": connections,
            "waiting_for": self._waiting_for(connections),
            "waited": 0.0,
        }

    def _waited(self, told: dict[str, Any]) -> dict[str, Any]:
        """Wait, and tell how it ended. Failure."""
        params = self.module.params
        last: list[dict[str, int] | None] = [None]

        def look() -> dict[str, int]:
            last[0] = self._connections()
            return self._waiting_for(last[0])

        timeout, interval = params["timeout"], params["interval"]
        ending = ipvs_drain.wait(look, timeout, interval, time.monotonic, time.sleep)
        waited: dict[str, Any] = {
            "drained": not ending.waiting,
            "connections": last[0],
            "waiting_for": dict(ending.waiting),
            "waited": ending.waited,
        }
        verdict = ipvs_drain.verdict_of(told, ending, params["on_timeout"])
        if verdict.weight is not None:
            self._restore(verdict.weight)
            waited["changed"] = False
        if verdict.failure:
            raise Failure(verdict.failure, {**told, **waited})
        if verdict.warning:
            self.module.warn(verdict.warning)
        return waited

    def _restore(self, weight: int) -> None:
        actual = self.kernel.read([self.service])
        entry = actual.get(self.service)
        server = entry.servers.get(self.key) if entry else None
        if entry and server:
            servers = {**entry.servers, self.key: server.replace(weight=weight)}
            desired = Table([(entry.service, servers.values())])
            self.kernel.apply(plan(desired, actual)).raise_first()
