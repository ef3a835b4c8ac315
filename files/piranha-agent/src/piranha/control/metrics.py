# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status as Prometheus reads it (text format 0.0.4). Pure.

METRICS is the one list of what there is; docs/metrics.md is made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

GAUGE, COUNTER = "gauge", "counter"

Labels = dict[str, str]
Sample = tuple[Labels, float]
Status = dict[str, Any]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
POOLS = ("met", "waiting", "open", "sorry", "short")
STATES = ("UP", "DOWN", "DRAIN", "MAINT", "STARTING")
SERVER_LABELS = ("virtual", "service", "server", "address")


@dataclass(frozen=True)
class Metric:
    """One row. `read` gives its samples from a status; what a status lacks gives none."""

    name: str
    kind: str
    doc: str
    labels: tuple[str, ...]
    read: Callable[[Status], Iterable[Sample]]


def render(status: Status | None) -> str:
    """Give the page; status None where pulse could not be asked."""
    lines = []
    for metric in METRICS:
        samples = [({}, float(status is not None))] if metric is UP else metric.read(status or {})
        told = [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in samples]
        if told:
            lines += [f"# HELP {metric.name} {metric.doc}", f"# TYPE {metric.name} {metric.kind}"]
            lines += told
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _part(status: Status, *names: str) -> dict[str, Any]:
    found: Any = status
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _one(*names: str) -> Callable[[Status], Iterator[Sample]]:
    """A number or a flag at one place of the status."""

    def read(status: Status) -> Iterator[Sample]:
        value = _part(status, *names[:-1]).get(names[-1])
        if isinstance(value, int | float):
            yield {}, float(value)

    return read


def _each(label: str, *names: str) -> Callable[[Status], Iterator[Sample]]:
    """All numbers of a mapping, its keys as a label."""

    def read(status: Status) -> Iterator[Sample]:
        for key, value in _part(status, *names).items():
            if isinstance(value, int | float):
                yield {label: str(key)}, float(value)

    return read


def _info(status: Status) -> Iterator[Sample]:
    if status:
        worker = "fos" if "fos" in _part(status, "pulse", "running") else "lvsd"
        digest = _part(status, worker, "config").get("digest")
        role = _part(status, "heart").get("role")
        labels = {"version": status.get("version"), "role": role, "digest": digest}
        yield {name: str(value or "") for name, value in labels.items()}, 1.0


def _is(wanted: str, *names: str) -> Callable[[Status], Iterator[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        value = _part(status, *names[:-1]).get(names[-1])
        if isinstance(value, str):
            yield {}, float(value == wanted)

    return read


def _same_configuration(status: Status) -> Iterator[Sample]:
    mine = _part(status, "heart").get("digest")
    theirs = _part(status, "heart", "peer").get("digest")
    if isinstance(mine, str) and isinstance(theirs, str):
        yield {}, float(mine == theirs)


def _links(status: Status) -> Iterator[tuple[Labels, dict[str, Any]]]:
    for link in _part(status, "heart").get("links") or ():
        yield {"own": str(link.get("own")), "partner": str(link.get("partner"))}, link


def _witness_up(status: Status) -> Iterator[Sample]:
    for one in _part(status, "heart").get("witnesses") or ():
        yield {"witness": str(one.get("witness"))}, float(one.get("up") is True)


def _sync(status: Status) -> Iterator[Sample]:
    sync = _part(status, "heart", "sync")
    for half in ("master", "backup"):
        if half in sync:
            yield {"half": half}, float(sync[half] is True)


def _link_up(status: Status) -> Iterator[Sample]:
    for labels, link in _links(status):
        yield labels, float(link.get("up") is True)


def _link_heard(status: Status) -> Iterator[Sample]:
    for labels, link in _links(status):
        if isinstance(link.get("heard"), int | float):
            yield labels, float(link["heard"])


def _services(status: Status) -> Iterator[tuple[Labels, dict[str, Any]]]:
    for virtual in _part(status, "lvsd").get("virtual") or ():
        if virtual.get("fwmark"):
            service = f"mark {virtual['fwmark']}"
        else:
            service = f"{virtual.get('protocol')} {_end(virtual)}"
        yield {"virtual": str(virtual.get("name")), "service": service}, virtual


def _end(one: dict[str, Any]) -> str:
    address = str(one.get("address"))
    return f"{f'[{address}]' if ':' in address else address}:{one.get('port')}"


def _of_service(name: str) -> Callable[[Status], Iterator[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        for labels, virtual in _services(status):
            if isinstance(virtual.get(name), int | float):
                yield labels, float(virtual[name])

    return read


def _pool(status: Status) -> Iterator[Sample]:
    for labels, virtual in _services(status):
        for standing in POOLS:
            yield {**labels, "pool": standing}, float(virtual.get("pool") == standing)


def _servers(status: Status) -> Iterator[tuple[Labels, dict[str, Any]]]:
    for labels, virtual in _services(status):
        for server in virtual.get("servers") or ():
            yield {**labels, "server": str(server.get("name")), "address": _end(server)}, server


def _state(status: Status) -> Iterator[Sample]:
    for labels, server in _servers(status):
        for state in STATES:
            yield {**labels, "state": state}, float(server.get("state") == state)


def _of_server(*names: str) -> Callable[[Status], Iterator[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        for labels, server in _servers(status):
            value = _part(server, *names[:-1]).get(names[-1])
            if isinstance(value, int | float):
                yield labels, float(value)

    return read


def _warned(status: Status) -> Iterator[Sample]:
    for labels, server in _servers(status):
        check = _part(server, "last_check")
        if check:
            yield labels, float(bool(check.get("warning")))


def _share(status: Status) -> Iterator[Sample]:
    for labels, server in _servers(status):
        share = _part(server, "busy").get("share")
        if isinstance(share, int):
            yield labels, share / 100


def _loads(label: str, fields: dict[str, str]) -> Callable[[Status], Iterator[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        for labels, server in _servers(status):
            load = _part(server, "load")
            for field, shown in fields.items():
                if isinstance(load.get(field), int | float):
                    yield {**labels, label: shown}, float(load[field])

    return read


def _server(
    name: str, kind: str, doc: str, read: Callable[[Status], Iterator[Sample]], *more: str
) -> Metric:
    return Metric(f"piranha_server_{name}", kind, doc, (*SERVER_LABELS, *more), read)


PHASES = ("unknown", "stopped", "starting", "running", "stopping", "stuck")


def _failover(status: Status) -> Iterator[tuple[Labels, dict[str, Any]]]:
    for one in _part(status, "fos").get("services") or ():
        yield {"failover": str(one.get("name")), "address": _end(one)}, one


def _failover_state(status: Status) -> Iterator[Sample]:
    for labels, one in _failover(status):
        for phase in PHASES:
            yield {**labels, "state": phase}, float(one.get("state") == phase)


def _of_failover(name: str) -> Callable[[Status], Iterator[Sample]]:
    def read(status: Status) -> Iterator[Sample]:
        for labels, one in _failover(status):
            if isinstance(one.get(name), int | float):
                yield labels, float(one[name])

    return read


def _failover_groups(status: Status) -> Iterator[Sample]:
    for one in _part(status, "heart").get("groups") or ():
        yield {"group": str(one.get("name"))}, float(one.get("holding") is True)


UP = Metric("piranha_up", GAUGE, "1 if the agent answers, else 0.", (), lambda _status: ())
METRICS: tuple[Metric, ...] = (
    UP,
    Metric(
        "piranha_info",
        GAUGE,
        "Always 1; the labels say which agent and which configuration is in force.",
        ("version", "role", "digest"),
        _info,
    ),
    Metric(
        "piranha_router_active",
        GAUGE,
        "1 if this router has the virtual addresses.",
        (),
        _is("active", "heart", "state"),
    ),
    Metric(
        "piranha_process_running",
        GAUGE,
        "1 if this process of the agent runs.",
        ("process",),
        _each("process", "pulse", "running"),
    ),
    Metric(
        "piranha_process_restarts_total",
        COUNTER,
        "How often a process of the agent was started again.",
        ("process",),
        _each("process", "pulse", "restarts"),
    ),
    Metric(
        "piranha_snapshot_age_seconds",
        GAUGE,
        "How long ago a process of the agent told its state.",
        ("process",),
        _each("process", "ages"),
    ),
    Metric(
        "piranha_heartbeats_rejected_total",
        COUNTER,
        "Heartbeats that were not believed, by reason.",
        ("reason",),
        _each("reason", "heart", "rejected"),
    ),
    Metric(
        "piranha_heartbeat_link_up",
        GAUGE,
        "1 if heartbeats of the partner came over this path within two dead times.",
        ("own", "partner"),
        _link_up,
    ),
    Metric(
        "piranha_heartbeat_link_heard_timestamp_seconds",
        GAUGE,
        "When the partner was heard last over this path, in seconds since the epoch.",
        ("own", "partner"),
        _link_heard,
    ),
    Metric(
        "piranha_witness_up",
        GAUGE,
        "1 if this witness answers; without one a router does not take over from a silent partner.",
        ("witness",),
        _witness_up,
    ),
    Metric(
        "piranha_sync_daemon_running",
        GAUGE,
        "1 if this half of the kernel's sync daemon runs: master sends, backup receives.",
        ("half",),
        _sync,
    ),
    Metric(
        "piranha_partner_same_configuration",
        GAUGE,
        "1 if the partner says that it has the same configuration; none if it was never heard.",
        (),
        _same_configuration,
    ),
    Metric(
        "piranha_table_ok",
        GAUGE,
        "1 if the kernel's IPVS table is as it shall be.",
        (),
        _one("lvsd", "table", "ok"),
    ),
    Metric(
        "piranha_table_repairs_total",
        COUNTER,
        "How often lvsd put right what somebody else had changed in its part of the table.",
        (),
        _one("lvsd", "table", "drifts"),
    ),
    Metric(
        "piranha_marking_ok",
        GAUGE,
        "1 if packets get the firewall marks that the agent has to set; none where it has none.",
        (),
        _one("lvsd", "marking", "ok"),
    ),
    Metric(
        "piranha_marking_repairs_total",
        COUNTER,
        "How often lvsd put right what somebody else had changed in its marking rules.",
        (),
        _one("lvsd", "marking", "repairs"),
    ),
    Metric(
        "piranha_config_ok",
        GAUGE,
        "1 if lvsd can use the configuration.",
        (),
        _one("lvsd", "config", "ok"),
    ),
    Metric(
        "piranha_orders",
        GAUGE,
        "Orders of operators that hold (drained, disabled, weights).",
        (),
        _one("lvsd", "overrides"),
    ),
    Metric(
        "piranha_virtual_servers_in_service",
        GAUGE,
        "Real servers of a virtual service that can take a new connection.",
        ("virtual", "service"),
        _of_service("in_service"),
    ),
    Metric(
        "piranha_virtual_servers_well",
        GAUGE,
        "Real servers that could take a new connection if fail_open and the sorry server were not.",
        ("virtual", "service"),
        _of_service("well"),
    ),
    Metric(
        "piranha_virtual_quorum",
        GAUGE,
        "Real servers that must be well.",
        ("virtual", "service"),
        _of_service("quorum"),
    ),
    Metric(
        "piranha_virtual_pool",
        GAUGE,
        "1 for how the pool stands to its quorum, else 0; open: fail_open keeps failed servers.",
        ("virtual", "service", "pool"),
        _pool,
    ),
    _server("state", GAUGE, "1 for the state that a real server has, else 0.", _state, "state"),
    _server(
        "state_since_timestamp_seconds",
        GAUGE,
        "Since when it has this state, in seconds since the epoch.",
        _of_server("since"),
    ),
    _server("weight", GAUGE, "Weight in the table; none if it is not there.", _of_server("weight")),
    _server("configured_weight", GAUGE, "Weight of lvs.cf.", _of_server("configured_weight")),
    _server(
        "check_duration_seconds",
        GAUGE,
        "How long the last check took.",
        _of_server("last_check", "seconds"),
    ),
    _server(
        "check_timestamp_seconds",
        GAUGE,
        "When the last check began, in seconds since the epoch.",
        _of_server("last_check", "at"),
    ),
    _server(
        "check_warning",
        GAUGE,
        "1 if the last check passed with a warning: a certificate that expires soon.",
        _warned,
    ),
    _server(
        "load_average",
        GAUGE,
        "Load of the machine as load_monitor read it last, for all of its processors.",
        _of_server("busy", "average"),
    ),
    _server(
        "load_share_ratio",
        GAUGE,
        "What its load leaves a server of its weight; 1 is all of it.",
        _share,
    ),
    _server(
        "connections",
        GAUGE,
        "Connections that the kernel knows now.",
        _loads("kind", {"active": "active", "inactive": "inactive", "persistent": "persistent"}),
        "kind",
    ),
    _server(
        "counted_timestamp_seconds",
        GAUGE,
        "When connections and traffic were read from the kernel, in seconds since the epoch.",
        _of_server("load", "counted_at"),
    ),
    _server(
        "connections_total",
        COUNTER,
        "Connections scheduled since the counters were zeroed.",
        _of_server("load", "connections"),
    ),
    _server(
        "packets_total",
        COUNTER,
        "Packets since the counters were zeroed.",
        _loads("direction", {"packets_in": "in", "packets_out": "out"}),
        "direction",
    ),
    _server(
        "bytes_total",
        COUNTER,
        "Bytes since the counters were zeroed.",
        _loads("direction", {"bytes_in": "in", "bytes_out": "out"}),
        "direction",
    ),
    Metric(
        "piranha_failover_group_active",
        GAUGE,
        "1 if this router has the addresses of a group of failover services, else 0.",
        ("group",),
        _failover_groups,
    ),
    Metric(
        "piranha_failover_state",
        GAUGE,
        "1 for the state that a failover service has on this router, else 0.",
        ("failover", "address", "state"),
        _failover_state,
    ),
    Metric(
        "piranha_failover_restarts_total",
        COUNTER,
        "How often a failover service was started again on this router.",
        ("failover", "address"),
        _of_failover("restarts"),
    ),
    Metric(
        "piranha_failover_failed",
        GAUGE,
        "1 if a failover service failed here more often than it may be started again.",
        ("failover", "address"),
        _of_failover("failed"),
    ),
)
