# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status of the agent as what CONTROL/MONITORING shows: rows of texts with a tone. Pure.

The cards of both routers are cards.py's.

Shows whatever a status holds and never fails for what is missing. What servers say (names, reasons,
answers) is text here like any other; the template escapes all of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from piranha.control.render import problems, runs_fos, services
from piranha.control.render_fos import listed

from .cards import Card, Seen, cards
from .tones import BAD, GOOD, IDLE, WARN, tone
from .words import NOTHING, ago, endpoint, milliseconds, short

NAMED = 3
"""Servers that a summary names."""

Status = Mapping[str, Any]
Fields = dict[str, str]


@dataclass(frozen=True)
class Row:
    """One line of a table. id: the same as long as the thing is the same. fields: what it shows."""

    id: str
    fields: Fields


def identity(service: Status) -> str:
    """Give the id of a virtual service: short, and safe in HTML."""
    parts = [service.get(key) for key in ("name", "address", "port", "protocol", "fwmark")]
    return "s" + hashlib.blake2s(repr(parts).encode(), digest_size=6).hexdigest()


def server_identity(service_id: str, server: Status) -> str:
    """Give the id of a real server in its virtual service."""
    parts = [server.get(key) for key in ("name", "address", "port")]
    return service_id + "-" + hashlib.blake2s(repr(parts).encode(), digest_size=4).hexdigest()


def place(service: Status) -> str:
    """Say where a virtual service is."""
    if service.get("fwmark"):
        return f"firewall mark {service['fwmark']}"
    protocol = service.get("protocol") or "tcp"
    return f"{protocol} {endpoint(service.get('address', '?'), service.get('port', '?'))}"


def _servers(service: Status) -> list[dict[str, Any]]:
    found = service.get("servers")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def state_of(server: Status) -> str:
    """Give a real server's state as one word in capitals."""
    return str(server.get("state", "?")).upper()


def totals(servers: Iterable[Status]) -> dict[str, float]:
    """Add up what the kernel counted of some servers."""
    keys = ("active", "inactive", "connection_rate", "byte_rate_in", "byte_rate_out")
    sums = dict.fromkeys(keys, 0.0)
    for server in servers:
        load = server.get("load")
        if isinstance(load, dict):
            for key in keys:
                value = load.get(key)
                if isinstance(value, int | float):
                    sums[key] += value
    return sums


def service_row(service: Status, now: float, graph: str = "") -> Row:
    """Give a virtual service as a line. graph: the path of its small picture."""
    found = _servers(service)
    told = totals(found)
    state, shade = service_state(service, found)
    return Row(
        identity(service),
        {
            "name": str(service.get("name", "?")),
            "place": place(service),
            "state": state,
            "tone": shade,
            "age": age(max(_numbers(one.get("since") for one in found), default=None), now),
            "serving": f"{service.get('in_service', '?')} of {len(found)}",
            "active": short(told["active"]),
            "rate": short(told["connection_rate"]),
            "in": short(told["byte_rate_in"]),
            "out": short(told["byte_rate_out"]),
            "how": f"{service.get('scheduler', '?')}, {service.get('forward', '?')}",
            "note": note(service, found),
            "graph": graph,
        },
    )


def service_state(service: Status, found: Sequence[Status]) -> tuple[str, str]:
    """Give a virtual service's state in a word, and the tone of it."""
    serving = service.get("in_service")
    standing = service.get("pool")
    if (service.get("sorry") or {}).get("serves"):
        return "SORRY", BAD
    if standing == "open":
        return "KEPT OPEN", WARN
    if not found:
        return "EMPTY", IDLE
    if not serving:
        starting = all(state_of(one) == "STARTING" for one in found)
        return ("STARTING", WARN) if starting else ("DOWN", BAD)
    if standing in ("short", "sorry"):
        return "BELOW QUORUM", BAD
    if isinstance(serving, int) and serving < len(found):
        ordered = all(state_of(one) in ("UP", "DRAIN", "MAINT") for one in found)
        return ("UP", GOOD) if ordered else ("DEGRADED", WARN)
    return "UP", GOOD


def note(service: Status, found: Sequence[Status]) -> str:
    """Say which servers are not up, in one short line."""
    by_state: dict[str, list[str]] = {}
    for one in found:
        state = state_of(one)
        if state != "UP":
            by_state.setdefault(state, []).append(str(one.get("name", "?")))
    parts = []
    for state, names in by_state.items():
        more = len(names) - NAMED
        listed_names = ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"{state}: {listed_names}")
    sorry = service.get("sorry") or {}
    if sorry.get("serves"):
        parts.append(f"sorry server {sorry.get('address')} serves")
    return "; ".join(parts)


def server_row(service_id: str, server: Status, now: float, graph: str = "") -> Row:
    """Give a real server as a line."""
    load = server.get("load") if isinstance(server.get("load"), dict) else {}
    check = server.get("last_check") if isinstance(server.get("last_check"), dict) else {}
    load, check = load or {}, check or {}
    state = state_of(server)
    weight, configured = server.get("weight"), server.get("configured_weight")
    shown = NOTHING if weight is None else str(weight)
    if weight is not None and configured not in (None, weight):
        shown += f" of {configured}"
    return Row(
        server_identity(service_id, server),
        {
            "name": str(server.get("name", "?")),
            "place": endpoint(server.get("address", "?"), server.get("port", "?")),
            "state": state,
            "tone": tone(state),
            "weight": shown,
            "active": short(load.get("active")),
            "inactive": short(load.get("inactive")),
            "rate": short(load.get("connection_rate")),
            "in": short(load.get("byte_rate_in")),
            "out": short(load.get("byte_rate_out")),
            "checked": " ".join(
                part
                for part in (
                    milliseconds(check.get("seconds")),
                    f"{ago(check.get('at'), now)} ago" if check.get("at") else "never",
                )
                if part
            ),
            "since": ago(server.get("since"), now),
            "reason": str(server.get("reason") or ""),
            "graph": graph,
        },
    )


def failover_row(service: Status, now: float) -> Row:
    """Give a failover service as a line."""
    state = str(service.get("state", "?")).upper()
    return Row(
        identity(service),
        {
            "name": str(service.get("name", "?")),
            "place": place(service),
            "state": state + (" (failed)" if service.get("failed") else ""),
            "tone": BAD if service.get("failed") else tone(state),
            "restarts": str(service.get("restarts", "?")),
            "checked": "yes" if service.get("checked_from_here") else "no",
            "age": age(service.get("since"), now),
            "reason": str(service.get("reason") or ""),
        },
    )


def age(since: object, now: float) -> str:
    """Say for how long something is so. A virtual service is, since a server of it changed last."""
    told = ago(since, now)
    return f"for {told}" if told else ""


def _numbers(values: Iterable[object]) -> Iterable[float]:
    return (float(value) for value in values if isinstance(value, int | float))


def notices(status: Status) -> list[str]:
    """Give what an operator must look at now."""
    found = dict(status)
    return problems(found)


@dataclass(frozen=True)
class Monitor:
    """All of CONTROL/MONITORING at one moment."""

    at: float
    cards: tuple[Card, ...]
    notices: tuple[str, ...]
    rows: tuple[Row, ...]
    fos: bool
    counts: Mapping[str, int]


def monitor(
    status: Status,
    now: float,
    graphs: Mapping[str, str] | None = None,
    partner: Seen | None = None,
) -> Monitor:
    """Make it. graphs: paths by the id of the virtual service. partner: what was seen of it."""
    fos = runs_fos(dict(status))
    if fos:
        rows = tuple(failover_row(one, now) for one in listed(status.get("fos") or {}))
    else:
        drawn = graphs or {}
        rows = tuple(
            service_row(one, now, drawn.get(identity(one), "")) for one in services(dict(status))
        )
    counts: dict[str, int] = {GOOD: 0, WARN: 0, BAD: 0, IDLE: 0}
    for row in rows:
        counts[row.fields["tone"]] += 1
    routers = tuple(cards(status, now, partner or Seen()))
    return Monitor(now, routers, tuple(notices(status)), rows, fos, counts)


def find_service(status: Status, wanted: str) -> dict[str, Any] | None:
    """Give the virtual service with an id."""
    return next((one for one in services(dict(status)) if identity(one) == wanted), None)


def server_rows(service: Status, now: float, graphs: Mapping[str, str] | None = None) -> list[Row]:
    """Give the real servers of a virtual service."""
    own = identity(service)
    drawn = graphs or {}
    return [
        server_row(own, one, now, drawn.get(server_identity(own, one), ""))
        for one in _servers(service)
    ]


_ORDER = {BAD: 0, WARN: 1, IDLE: 2, GOOD: 3}
SORTS: Mapping[str, Callable[[Row], Any]] = {
    "name": lambda row: row.fields["name"].lower(),
    "state": lambda row: (_ORDER[row.fields["tone"]], row.fields["name"].lower()),
    "place": lambda row: _by_numbers(row.fields["place"]),
}


def _by_numbers(text: str) -> list[tuple[int, str]]:
    """Give what sorts 192.0.2.9 before 192.0.2.10, as the script of the page does."""
    return [(int(one), "") if one.isdecimal() else (0, one) for one in re.split(r"(\d+)", text)]


def chosen(rows: Iterable[Row], text: str = "", shade: str = "", sort: str = "") -> list[Row]:
    """Filter and sort lines, for a browser without scripts."""
    wanted = text.strip().lower()
    kept = [
        row
        for row in rows
        if (not shade or row.fields["tone"] == shade)
        and (
            not wanted
            or any(wanted in row.fields.get(key, "").lower() for key in ("name", "place", "note"))
        )
    ]
    return sorted(kept, key=SORTS[sort]) if sort in SORTS else kept


def changes(before: Iterable[Row], after: Iterable[Row]) -> dict[str, Fields] | None:
    """Give only the fields that changed, by id; None where lines came, went or changed places."""
    old = {row.id: row.fields for row in before}
    new = {row.id: row.fields for row in after}
    if list(old) != list(new):
        return None
    found = {}
    for key, fields in new.items():
        was = old[key]
        if fields != was:
            found[key] = {name: text for name, text in fields.items() if was.get(name) != text}
    return found
