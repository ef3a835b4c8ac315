# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status or an event as lines for people; pure but for `wants_colour`.

It shows whatever a snapshot holds and never fails for what is missing: the command line may be
newer or older than the pulse it asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, TextIO

from . import render_fos

RED, GREEN, YELLOW, BOLD, PLAIN = "\033[31m", "\033[32m", "\033[33m", "\033[1m", "\033[0m"

COLOURS = {
    "UP": GREEN,
    "ACTIVE": GREEN,
    "DOWN": RED,
    "DRAIN": YELLOW,
    "MAINT": YELLOW,
    "STARTING": YELLOW,
    "RUNNING": GREEN,
    "STOPPING": YELLOW,
    "STUCK": RED,
    "FAULT": RED,
    "crit": RED,
    "err": RED,
    "warning": YELLOW,
}

STALE = 30.0
"""Seconds after which a snapshot is called old."""

COUNTED_LATELY = 10.0
"""Seconds after which numbers of connections say how old they are."""

UNSIGNED = "classic: unsigned, and of the partner no more than whether it is active"

DIGITS = 12
"""Of a digest: enough to tell two configurations apart."""

Paint = bool


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: only on a terminal, and not with NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def status(
    found: dict[str, Any],
    colour: Paint = False,
    now: float | None = None,
    *,
    alarms_first: bool = False,
) -> list[str]:
    """Give the lines for `piranha status`. now: seconds since the epoch.

    alarms_first: what is wrong before the virtual services, whose end a screen may not show.
    """
    now = time.time() if now is None else now
    alarms = [_paint(f"! {line}", "err", colour) for line in problems(found)]
    first = [*alarms, ""] if alarms_first and alarms else []
    return [
        *_router(found, colour, now),
        "",
        *first,
        *_services(found, colour, now),
        *([] if first else alarms),
    ]


def problems(found: dict[str, Any]) -> list[str]:
    """Give what an operator must look at now, a sentence each; empty when all is well."""
    told = parts(found)
    for name in _children(found):
        told += [str(line) for line in (found.get(name) or {}).get("problems") or ()]
    for service in services(found):
        if service.get("servers"):
            told += _too_few(service)
    return told


def parts(found: dict[str, Any]) -> list[str]:
    """Give the parts of the agent that do not run or are not heard, a sentence each."""
    told = []
    pulse = found.get("pulse") or {}
    for name in _children(found):
        age = (found.get("ages") or {}).get(name)
        if not (pulse.get("running") or {}).get(name):
            told.append(f"{name} is not running; see piranha events")
        elif found.get(name) is None:
            told.append(f"{name} has not said anything yet")
        elif age is not None and age > STALE:
            told.append(f"{name} was last heard {age:.0f} s ago; what is shown of it is old")
    return told


def _children(found: dict[str, Any]) -> tuple[str, str]:
    return ("heart", "fos" if runs_fos(found) else "lvsd")


def _too_few(service: dict[str, Any]) -> list[str]:
    """Say it where a virtual service has no server left, or fewer than its quorum."""
    who = f"virtual service {_place(service)}"
    serves = (service.get("sorry") or {}).get("serves")
    rest = " (the sorry server serves)" if serves else ""
    wanted = f"{service.get('well', '?')} of the {service.get('quorum', '?')} servers"
    if service.get("pool") == "open":
        return [f"{who} has {wanted} of its quorum (fail_open keeps those whose checks fail)"]
    if service.get("in_service") == 0 and not service.get("well"):
        return [f"{who} has no real server in service{rest}"]
    if service.get("pool") in ("sorry", "short"):
        return [f"{who} has {wanted} of its quorum{rest}"]
    return []


def runs_fos(found: dict[str, Any]) -> bool:
    """Whether this router runs failover services instead of virtual servers."""
    return "fos" in ((found.get("pulse") or {}).get("running") or {})


def services(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the virtual services of a status."""
    listed = (found.get("lvsd") or {}).get("virtual")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def only(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Give a status with those virtual services alone that are called so, or have such a server.

    name: of a virtual service; else name, address or address:port of a real server. LookupError,
    with a sentence, where there is none.
    """
    every = services(found)
    chosen = [one for one in every if one.get("name") == name] or [
        one
        for one in every
        if any(
            name in (server.get("name"), server.get("address"), _endpoint(server))
            for server in one.get("servers") or ()
        )
    ]
    if not chosen:
        raise LookupError(f"no virtual service or real server in force is called {name}")
    return {**found, "lvsd": {**found["lvsd"], "virtual": chosen}}


def event(told: dict[str, Any], colour: Paint = False) -> str:
    """Give one line for an event."""
    when = told.get("time")
    moment = time.localtime(when if isinstance(when, int | float) else 0)
    level = str(told.get("level", "info"))
    clock = time.strftime("%Y-%m-%d %H:%M:%S", moment)
    source = f"{told.get('from', '?')}"
    return (
        f"{clock}  {_paint(level.ljust(7), level, colour)}  {source.ljust(5)}  {told.get('text')}"
    )


def _router(found: dict[str, Any], colour: Paint, now: float) -> list[str]:
    heart = found.get("heart") or {}
    pulse = found.get("pulse") or {}
    state = str(heart.get("state", "unknown")).upper()
    since = _ago(heart.get("since"), now)
    restarts = ", ".join(f"{n} {c}" for n, c in (pulse.get("restarts") or {}).items() if c)
    rows = [
        ("router", f"{found.get('host', '?')} {_detail(heart.get('role'))}".rstrip()),
        ("state", f"{_paint(state, state, colour)}{since}{_because(heart.get('reason'))}"),
        ("partner", _partner(heart.get("peer"), now)),
        *(("link", _link(one, colour, now)) for one in heart.get("links") or ()),
        *([("heartbeats", UNSIGNED)] if heart.get("heartbeat_format") == "classic" else []),
        *(("witness", _witness(one, colour, now)) for one in heart.get("witnesses") or ()),
        *([("sync", _sync(heart["sync"], colour))] if heart.get("sync") else []),
        ("addresses", ", ".join(_address(a) for a in heart.get("addresses") or ()) or "none"),
        (
            "pulse",
            f"{found.get('version', '?')}, up {_span(pulse.get('uptime'))}"
            + (f", restarted: {restarts}" if restarts else ""),
        ),
    ]
    rows.append(("config", _configuration(found)))
    width = max(len(name) for name, _unused in rows)
    return [f"{_paint(name.ljust(width), 'title', colour)}  {text}" for name, text in rows]


def _partner(peer: object, now: float) -> str:
    if not isinstance(peer, dict):
        return "none"
    state = str(peer.get("state") or "unknown").upper()
    heard = _ago(peer.get("heard") or peer.get("since"), now, "heard ")
    return f"{peer.get('address', '?')} {state}{heard}{_because(peer.get('reason'))}"


def _sync(sync: dict[str, Any], colour: Paint) -> str:
    """Say of both halves of the kernel's sync daemon whether they run."""
    halves = []
    for half, does in (("master", "sends"), ("backup", "receives")):
        state = "UP" if sync.get(half) else "DOWN"
        halves.append(f"{does} {_paint(state, state, colour)}")
    return f"{sync.get('interface', '?')}, id {sync.get('id', '?')}: {', '.join(halves)}"


def _link(link: dict[str, Any], colour: Paint, now: float) -> str:
    """Say of one path of the heartbeats whether it carries them."""
    state = "UP" if link.get("up") else "DOWN"
    heard = _ago(link.get("heard"), now, "heard ") or " (never heard)"
    sending = link.get("sending")
    trouble = "" if sending in ("ok", None) else f"; cannot be sent on: {sending}"
    between = f"{link.get('own', '?')} - {link.get('partner', '?')}"
    return f"{between} {_paint(state, state, colour)}{heard}{trouble}"


def _witness(witness: dict[str, Any], colour: Paint, now: float) -> str:
    """Say of a witness whether it answers."""
    state = "UP" if witness.get("up") else "DOWN"
    word, address = witness.get("witness", "?"), witness.get("address")
    who = str(word) if address in (None, word) else f"{address} ({word})"
    heard = _ago(witness.get("heard"), now, "heard ") or " (never heard)"
    asking = witness.get("asking")
    trouble = "" if asking in ("ok", None) else f"; cannot be asked: {asking}"
    return f"{who} {_paint(state, state, colour)}{heard}{trouble}"


def _services(found: dict[str, Any], colour: Paint, now: float) -> list[str]:
    if runs_fos(found):
        return _failover(found, colour, now)
    lines = []
    for service in services(found):
        total = len(service.get("servers") or ())
        head = f"{_place(service)}  {service.get('scheduler', '')} {service.get('forward', '')}"
        head += f"  {service.get('in_service', '?')} of {total} in service"
        if isinstance(service.get("quorum"), int) and service["quorum"] > 1:
            head += f", quorum {service['quorum']}"
        if sorry := service.get("sorry"):
            does = "serves" if sorry.get("serves") else "waits"
            head += f", the sorry server {sorry.get('address', '?')} {does}"
        lines.append(_paint(head, "title", colour))
        rows = [
            (
                str(server.get("name", "?")),
                _endpoint(server),
                str(server.get("state", "?")).upper(),
                _weight(server),
                *_traffic(server.get("load"), now),
                _checked(server.get("last_check"), now),
                f"{_why(server)}{_ago(server.get('since'), now)}",
            )
            for server in service.get("servers") or ()
        ]
        lines += _table(HEADS, rows, colour)
        lines.append("")
    return lines or ["no virtual services", ""]


def _failover(found: dict[str, Any], colour: Paint, now: float) -> list[str]:
    fos = found.get("fos") or {}
    ago = {str(one.get("name")): _ago(one.get("since"), now) for one in render_fos.listed(fos)}
    rows = render_fos.rows(fos, ago)
    table = _table(render_fos.heads(fos), rows, colour) if rows else ["no failover services"]
    places = render_fos.places(found.get("heart") or {}, fos)
    groups = [*_table(render_fos.PLACES, places, colour), ""] if places else []
    return [*render_fos.moving(fos), *groups, *table, ""]


def _configuration(found: dict[str, Any]) -> str:
    """Say which configuration is in force: its digest tells whether two routers have the same."""
    lvsd = found.get("lvsd") or {}
    worker = (found.get("fos") or {}) if runs_fos(found) else lvsd
    digest = str((worker.get("config") or {}).get("digest") or "")
    parts = [f"digest {digest[:DIGITS]}" if digest else "none in force"]
    checks, drifts = lvsd.get("checks"), (lvsd.get("table") or {}).get("drifts")
    if checks is not None:
        parts.append(f"{checks} checks")
    if drifts:
        parts.append(f"table repaired {drifts} times")
    marking = lvsd.get("marking") or {}
    if marking:
        by = marking.get("by") or "nothing"
        parts.append(f"packets marked by {by} ({marking.get('rules')} rules)")
    if marking.get("repairs"):
        parts.append(f"marking repaired {marking['repairs']} times")
    if lvsd.get("overrides"):
        parts.append(f"orders of operators: {lvsd['overrides']}")
    for rule in lvsd.get("overrides_unused") or ():
        parts.append(f"an order waits for {rule}, which is not in force")
    return ", ".join(parts)


HEADS = (
    "server",
    "address",
    "state",
    "weight",
    "active",
    "inact",
    "new/s",
    "in/s",
    "out/s",
    "checked",
    "why",
)
THOUSAND = 1000
UNITS = ("", "k", "M", "G", "T")


def _endpoint(server: dict[str, Any]) -> str:
    address = str(server.get("address", "?"))
    return f"{f'[{address}]' if ':' in address else address}:{server.get('port', '?') or '*'}"


def _weight(server: dict[str, Any]) -> str:
    """Say the weight in the table, and the configured one where that is another."""
    now, configured = server.get("weight"), server.get("configured_weight")
    shown = "-" if now is None else str(now)
    return shown if configured in (None, now) else f"{shown} of {configured}"


def _why(server: dict[str, Any]) -> str:
    """Say why it has its state; what the last check said, where that is something else."""
    parts = [str(server.get("reason") or "")]
    check = server.get("last_check")
    if isinstance(check, dict):
        answer, warning = str(check.get("answer") or ""), check.get("warning")
        if answer not in parts[0]:
            parts.append(f"last check: {answer}")
        if warning:
            parts.append(str(warning))
    return "; ".join(part for part in parts if part)


def server_line(server: dict[str, Any]) -> str:
    """Give one line about one real server, as the answer to `servers` has it."""
    who = f"{server.get('virtual', '?')}/{server.get('name', '?')} {_endpoint(server)}"
    state = str(server.get("state", "?")).upper()
    return f"{who}  {state}  weight {_weight(server)}  {_why(server)}"


def _traffic(load: object, now: float) -> tuple[str, str, str, str, str]:
    """Say connections, new ones a second, bytes a second in and out; old numbers say so.

    Inactive are those of UDP, of a firewall mark, and of TCP before and after: as ipvsadm has it.
    """
    if not isinstance(load, dict):
        return ("-", "-", "-", "-", "-")
    counted = load.get("counted_at")
    active = f"{load.get('active', '?')}{_old(counted, now)}"
    new, coming, going = (
        _short(load.get(name)) for name in ("connection_rate", "byte_rate_in", "byte_rate_out")
    )
    return active, str(load.get("inactive", "-")), new, coming, going


def _old(counted: object, now: float) -> str:
    late = isinstance(counted, int | float) and now - counted > COUNTED_LATELY
    return f" ({_span(now - counted)} ago)" if late and isinstance(counted, int | float) else ""


def _short(number: object) -> str:
    """Say a number as people do: 999, 1.2k, 35M."""
    if not isinstance(number, int | float):
        return "-"
    unit = 0
    while number >= THOUSAND and unit < len(UNITS) - 1:
        number, unit = number / THOUSAND, unit + 1
    return f"{number:.3g}{UNITS[unit]}" if unit else f"{number:.0f}"


def _checked(check: object, now: float) -> str:
    """Say how long the last check took and how long ago it was."""
    if not isinstance(check, dict):
        return "never"
    seconds, at = check.get("seconds"), check.get("at")
    took = f"{seconds * 1000:.1f} ms" if isinstance(seconds, int | float) else "?"
    ago = f" {_span(max(0.0, now - at))} ago" if isinstance(at, int | float) else ""
    return f"{took}{ago}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], colour: Paint) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            _paint(cell.ljust(width), cell, colour) for cell, width in zip(row, widths, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _place(service: dict[str, Any]) -> str:
    if service.get("fwmark"):
        where = f"firewall mark {service['fwmark']}{_marked(service.get('marks'))}"
    else:
        address = str(service.get("address", "?"))
        shown = f"[{address}]" if ":" in address else address
        where = f"{service.get('protocol') or 'tcp'} {shown}:{service.get('port', '?')}"
    return f"{service.get('name', '?')} ({where})"


def _marked(rules: object) -> str:
    """Say which packets get the mark, where that is the agent's to do."""
    ends: dict[str, list[str]] = {}
    for rule in rules if isinstance(rules, list) else ():
        address = str(rule.get("address"))
        shown = f"[{address}]" if ":" in address else address
        port = rule.get("port")
        ends.setdefault(f"{rule.get('protocol')} {shown}:", []).append(str(port) if port else "*")
    return "".join(f" for {end}{','.join(ports)}" for end, ports in ends.items())


def _address(address: object) -> str:
    if isinstance(address, dict):
        device = f" {address['device']}" if address.get("device") else ""
        return f"{address.get('address', '?')}{device}"
    return str(address)


def _detail(text: object) -> str:
    return f"({text})" if text else ""


def _because(reason: object) -> str:
    return f": {reason}" if reason else ""


def _ago(moment: object, now: float, what: str = "since ") -> str:
    if not isinstance(moment, int | float):
        return ""
    return f" ({what}{_span(max(0.0, now - moment))}{' ago' if what == 'heard ' else ''})"


def _span(seconds: object) -> str:
    """Say a length of time as people do: 4.2 s, 3 min, 5 h, 2 d."""
    if not isinstance(seconds, int | float):
        return "?"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def _paint(text: str, kind: str, colour: Paint) -> str:
    code = BOLD if kind == "title" else COLOURS.get(kind, "")
    return f"{code}{text}{PLAIN}" if colour and code else text
