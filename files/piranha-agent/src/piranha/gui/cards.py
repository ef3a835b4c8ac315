# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two routers at the head of CONTROL/MONITORING: a status as cards of facts. Pure.

Shows whatever a status holds and never fails for what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from piranha.control.render import runs_fos

from .tones import BAD, GOOD, WARN, tone
from .words import ago, count, span

Status = Mapping[str, Any]


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


@dataclass(frozen=True)
class Seen:
    """The partner's state as this page has seen it. at: when it came, in seconds since the epoch.

    whole: it was seen to come; else it was so when the page looked first. Heartbeats carry the
    state and not its age.
    """

    state: str = ""
    at: float | None = None
    whole: bool = False


def seen(status: Status, before: Seen, now: float) -> Seen:
    """Give what is seen now, after what was seen before."""
    peer = (status.get("heart") or {}).get("peer")
    state = str(peer.get("state") or "") if isinstance(peer, dict) else ""
    if not state or state == before.state:
        return before if state else Seen()
    return Seen(state, now, bool(before.state))


def cards(status: Status, now: float, partner: Seen) -> list[Card]:
    """Give the two routers. partner: what was seen of that one."""
    heart = status.get("heart") or {}
    made = [_own_card(status, heart, now)]
    peer = heart.get("peer")
    if isinstance(peer, dict):
        made.append(_partner_card(peer, heart, now, partner))
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


def _partner_card(peer: Status, heart: Status, now: float, partner: Seen) -> Card:
    state = str(peer.get("state") or "unknown").upper()
    heard = ago(peer.get("heard"), now)
    mine, theirs = heart.get("digest"), peer.get("digest")
    if state == "DOWN" or not theirs:
        same = Fact("configuration", "unknown while it is silent", WARN)
    elif theirs == mine:
        same = Fact("configuration", "equal to this router's", GOOD)
    else:
        same = Fact("configuration", "not equal to this router's", BAD)
    able, since = peer.get("able"), ago(partner.at, now)
    facts = [
        Fact("since", since if partner.whole or not since else f"at least {since}"),
        Fact("heard", f"{heard} ago" if heard else "never", "" if heard else BAD),
        Fact("because", str(peer.get("reason") or "")),
        same,
        Fact("can serve", f"{able} of {peer.get('of')} services" if able is not None else ""),
        Fact("agent", str(peer.get("version") or "")),
    ]
    shade = BAD if state == "DOWN" else tone(state)
    title = f"{peer.get('address', '?')} (partner)"
    return Card(title, state, shade, tuple(one for one in facts if one.text))
