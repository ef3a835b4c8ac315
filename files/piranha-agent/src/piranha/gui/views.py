# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status of the agent as what CONTROL/MONITORING shows: rows of texts with a tone. Pure.

Shows whatever a status holds and never fails for what is missing. What servers say (names, reasons,
answers) is text here like any other; the template escapes all of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from piranha.control.render import problems, runs_fos, services
from piranha.control.render_fos import listed

from .words import NOTHING, ago, count, endpoint, milliseconds, short, span

GOOD, WARN, BAD, IDLE = "good", "warn", "bad", "idle"
TONES = {
    "UP": GOOD,
    "ACTIVE": GOOD,
    "RUNNING": GOOD,
    "STANDBY": IDLE,
    "DOWN": BAD,
    "FAULT": BAD,
    "STUCK": BAD,
    "DRAIN": WARN,
    "MAINT": WARN,
    "STARTING": WARN,
    "STOPPING": WARN,
}
NAMED = 3
"""Servers that a summary names."""

Status = Mapping[str, Any]
Fields = dict[str, str]


@dataclass(frozen=True)
class Row:
    """One line of a table. id: the same as long as the thing is the same. fields: what it shows."""

    id: str
    fields: Fields


@dataclass(frozen=True)
class Fact:
    """One line of a router's card."""

    title: str
    text: str
    tone: str = ""


@dataclass(frozen=True)
class Card:
    """One router."""

    title: str
    state: str
    tone: str
    facts: tuple[Fact, ...]


def tone(state: str) -> str:
    """Give the tone of a state's name."""
    return TONES.get(state.upper(), IDLE)


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


def service_row(service: Status, graph: str = "") -> Row:
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
            "since": ago(service.get("since"), now),
            "reason": str(service.get("reason") or ""),
        },
    )


def cards(status: Status, now: float) -> list[Card]:
    """Give the two routers."""
    heart = status.get("heart") or {}
    made = [_own_card(status, heart, now)]
    peer = heart.get("peer")
    if isinstance(peer, dict):
        made.append(_partner_card(peer, heart, now))
    return made


def _own_card(status: Status, heart: Status, now: float) -> Card:
    state = str(heart.get("state") or "unknown").upper()
    pulse = status.get("pulse") or {}
    held = heart.get("addresses") or ()
    facts = [
        Fact("since", ago(heart.get("since"), now)),
        Fact("because", str(heart.get("reason") or "")),
        Fact("holds", _addresses(held)),
        *(_link(one, now) for one in heart.get("links") or ()),
        *([_sync(heart["sync"])] if heart.get("sync") else []),
        Fact("agent", f"{status.get('version', '?')}, up {span(pulse.get('uptime'))}"),
        _configuration(status),
    ]
    restarts = {name: number for name, number in (pulse.get("restarts") or {}).items() if number}
    if restarts:
        told = ", ".join(f"{name} {number}" for name, number in restarts.items())
        facts.append(Fact("restarted", told, WARN))
    title = f"{status.get('host', '?')} ({heart.get('role') or 'this router'})"
    return Card(title, state, tone(state), tuple(one for one in facts if one.text))


LISTED = 4
"""Addresses that a card names."""


def _addresses(held: Sequence[object]) -> str:
    names = [str(one.get("address", "?")) if isinstance(one, dict) else str(one) for one in held]
    if not names:
        return "no virtual address"
    if len(names) <= LISTED:
        return ", ".join(names)
    return f"{count(len(names), 'address')[:-1]}es: {', '.join(names[:LISTED])} …"


def _link(link: Status, now: float) -> Fact:
    up = bool(link.get("up"))
    heard = f"heard {ago(link.get('heard'), now)} ago" if link.get("heard") else "never heard"
    sending = link.get("sending")
    trouble = "" if sending in ("ok", None) else f"; cannot be sent on: {sending}"
    between = f"{link.get('own', '?')} ↔ {link.get('partner', '?')}"
    return Fact(
        "heartbeat",
        f"{between} {'UP' if up else 'DOWN'}, {heard}{trouble}",
        GOOD if up and not trouble else BAD,
    )


def _sync(sync: Status) -> Fact:
    halves = [
        f"{does} {'UP' if sync.get(half) else 'DOWN'}"
        for half, does in (("master", "sends"), ("backup", "receives"))
    ]
    well = bool(sync.get("master") or sync.get("backup"))
    where = f"{sync.get('interface', '?')}, id {sync.get('id', '?')}"
    return Fact("connection sync", f"{where}: {', '.join(halves)}", GOOD if well else BAD)


DIGITS = 12


def _configuration(status: Status) -> Fact:
    worker = (status.get("fos") if runs_fos(dict(status)) else status.get("lvsd")) or {}
    digest = str((worker.get("config") or {}).get("digest") or "")
    parts = [f"digest {digest[:DIGITS]}" if digest else "none in force"]
    lvsd = status.get("lvsd") or {}
    if lvsd.get("checks") is not None:
        parts.append(count(int(lvsd["checks"]), "check"))
    drifts = (lvsd.get("table") or {}).get("drifts")
    if drifts:
        parts.append(f"table repaired {count(int(drifts), 'time')}")
    if lvsd.get("overrides"):
        parts.append(f"{count(int(lvsd['overrides']), 'order')} of operators in force")
    return Fact("configuration", ", ".join(parts), "" if digest else BAD)


def _partner_card(peer: Status, heart: Status, now: float) -> Card:
    state = str(peer.get("state") or "unknown").upper()
    heard = ago(peer.get("heard"), now)
    mine, theirs = heart.get("digest"), peer.get("digest")
    if state == "DOWN" or not theirs:
        same = Fact("configuration", "unknown while it is silent", WARN)
    elif theirs == mine:
        same = Fact("configuration", "equal to this router's", GOOD)
    else:
        same = Fact("configuration", "not equal to this router's", BAD)
    able = peer.get("able")
    facts = [
        Fact("heard", f"{heard} ago" if heard else "never", "" if heard else BAD),
        Fact("because", str(peer.get("reason") or "")),
        same,
        Fact("can serve", f"{able} of {peer.get('of')} services" if able is not None else ""),
        Fact("agent", str(peer.get("version") or "")),
    ]
    shade = BAD if state == "DOWN" else tone(state)
    title = f"{peer.get('address', '?')} (partner)"
    return Card(title, state, shade, tuple(one for one in facts if one.text))


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


def monitor(status: Status, now: float, graphs: Mapping[str, str] | None = None) -> Monitor:
    """Make it. graphs: paths by the id of the virtual service."""
    fos = runs_fos(dict(status))
    if fos:
        rows = tuple(failover_row(one, now) for one in listed(status.get("fos") or {}))
    else:
        drawn = graphs or {}
        rows = tuple(
            service_row(one, drawn.get(identity(one), "")) for one in services(dict(status))
        )
    counts: dict[str, int] = {GOOD: 0, WARN: 0, BAD: 0, IDLE: 0}
    for row in rows:
        counts[row.fields["tone"]] += 1
    return Monitor(now, tuple(cards(status, now)), tuple(notices(status)), rows, fos, counts)


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
    "place": lambda row: row.fields["place"],
}


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
