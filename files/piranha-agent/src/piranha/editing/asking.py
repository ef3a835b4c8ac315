# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of the web page, read and judged before anything is done about them; pure.

Who asks is said twice: the kernel says which process's user it is, the page says who is logged in
there. The second is believed only as far as the ceiling reaches.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from typing import Any

from piranha.control.protocol import Request, RequestError
from piranha.gui.protocol import (
    LONGEST_REASON,
    LONGEST_WAIT,
    ORDERS,
    REQUESTS,
    ROLES,
    Actor,
    lesser,
    may,
)

LONGEST_NAME = 255
HEAVIEST = 65535


def parse(message: dict[str, Any]) -> Request:
    """Read one message as a request; RequestError says what is wrong with it."""
    request_id = message.get("id")
    if not isinstance(request_id, int | str | None) or isinstance(request_id, bool):
        raise RequestError('"id" must be a number or a text')
    do = message.get("do")
    if not isinstance(do, str) or do not in REQUESTS:
        shown = repr(do)[:40]
        close = difflib.get_close_matches(str(do)[:40], REQUESTS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(REQUESTS)}"
        raise RequestError(f"there is no request {shown}; {hint}", request_id)
    return Request(request_id, do, {k: v for k, v in message.items() if k not in {"id", "do"}})


def actor_of(arguments: Mapping[str, Any]) -> Actor:
    """Read who is logged in at the page; RequestError."""
    said = arguments.get("by")
    if not isinstance(said, Mapping):
        raise RequestError('"by" must say user and role of whoever is logged in')
    user, role = said.get("user"), said.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise RequestError(f'the role in "by" must be one of {", ".join(ROLES)}')
    return Actor(line({"user": user}, "user", LONGEST_NAME), role)


def role_here(actor: Actor, ceiling: str) -> str:
    """Give the role that counts: never more than the ceiling."""
    return lesser(actor.role, ceiling)


def why_not(actor: Actor, ceiling: str, do: str) -> str | None:
    """Say in a sentence why it may not be asked, or give None."""
    if may(role_here(actor, ceiling), do):
        return None
    needed = REQUESTS[do][0]
    if may(actor.role, do):
        return (
            f"this page may {ceiling} at the most and {do} needs the right to {needed}; raise"
            " `ceiling` in /etc/piranha/gui.json (piranha_router_gui_rights)"
        )
    return f"{actor.user} may {actor.role} and {do} needs the right to {needed}"


def line(arguments: Mapping[str, Any], key: str, longest: int = LONGEST_REASON) -> str:
    """Read a text of one line that goes into logs and answers; RequestError."""
    value = arguments.get(key, "")
    if not isinstance(value, str):
        raise RequestError(f'"{key}" must be a text')
    if len(value) > longest:
        raise RequestError(f'"{key}" is longer than {longest} characters')
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in value):
        raise RequestError(f'"{key}" must be one line of plain text')
    if key == "user" and not value.strip():
        raise RequestError('"user" is empty')
    return value.strip()


def text(arguments: Mapping[str, Any], key: str) -> str:
    """Read a text of any length; RequestError."""
    value = arguments.get(key)
    if not isinstance(value, str):
        raise RequestError(f'"{key}" must be a text')
    return value


def number(arguments: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Read a whole number that is not negative; RequestError."""
    value = arguments.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(f'"{key}" must be a whole number')
    return value


def wait(arguments: Mapping[str, Any]) -> float:
    """Read how many seconds `events` may wait; RequestError."""
    value = arguments.get("wait", 0)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        raise RequestError('"wait" must be a number of seconds')
    return min(float(value), LONGEST_WAIT)


MODES = {"drain": "drained", "maintenance": "disabled", "enable": "enabled"}


def override(arguments: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """Give the arguments of the control socket's `override` for an order; RequestError."""
    order = arguments.get("order")
    server = line(arguments, "server", LONGEST_NAME)
    if not server:
        raise RequestError('"server" must name a real server')
    virtual = arguments.get("virtual")
    asked: dict[str, Any] = {
        "server": server,
        "virtual": None if virtual is None else line(arguments, "virtual", LONGEST_NAME),
        "reason": line(arguments, "why"),
        "by": signature(actor),
    }
    if order == "weight":
        value = arguments.get("value")
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HEAVIEST
        if not fits and value != "configured":
            raise RequestError(f'"value" must be 0 to {HEAVIEST}, or "configured"')
        return {**asked, "weight": value, "mode": None}
    return {**asked, "mode": MODES[str(order)], "weight": None}


def order(arguments: Mapping[str, Any]) -> str:
    """Read which order is meant; RequestError."""
    value = arguments.get("order")
    if not isinstance(value, str) or value not in ORDERS:
        raise RequestError(f'"order" must be one of {", ".join(ORDERS)}')
    return value


def signature(actor: Actor) -> str:
    """Who gave an order, as status and log show it."""
    return f"{actor.user} (page)"
