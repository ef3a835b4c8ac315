# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words spoken on the control socket and between pulse and its children; pure, no socket.

Control socket, one JSON object a line, answers may come in another order than the requests:

    {"id": 1, "do": "status"}          ->  {"id": 1, "ok": true, "result": {...}}
    {"id": 2, "do": "stauts"}          ->  {"id": 2, "ok": false, "error": "one sentence"}
    {"id": 3, "do": "events"}          ->  {"id": 3, "ok": true, "result": {"events": [...]}}
                                           {"id": 3, "event": {...}}      as they happen

Pulse and a child (see docs/architecture.md): `tick`, `state`, `event`, `answer` from the child,
`ask` from pulse.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

MAX_REQUEST = 64 * 1024
"""Bytes in one request; answers may be as long as link.MAX_LINE."""

REQUESTS = {
    "status": "what this router does and sees: state, partner, virtual services, real servers",
    "reload": "read lvs.cf again; a bad one changes nothing and is answered with the reasons",
    "events": "the last events, then each new one as it happens",
    "version": "the version of the agent that runs",
}
"""Everything that can be asked, with one line of help each. The server, the command line and the
documentation read it from here."""

LEVELS = {"crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
"""Levels of an event, as syslog numbers them."""


@dataclass(frozen=True)
class Request:
    """One well-formed request."""

    id: int | str | None
    do: str
    arguments: dict[str, Any]


class RequestError(ValueError):
    """The request makes no sense; the text is one sentence. `id` is the request's, if any."""

    def __init__(self, text: str, request_id: int | str | None = None) -> None:
        super().__init__(text)
        self.id = request_id


def known(do: str) -> str:
    """Say what could have been meant by the unknown request `do`."""
    close = difflib.get_close_matches(do, REQUESTS, n=1)
    listed = ", ".join(REQUESTS)
    return f"did you mean {close[0]}? Known: {listed}" if close else f"known: {listed}"


def parse_request(message: dict[str, Any]) -> Request:
    """Read one message as a request; RequestError says what is wrong with it."""
    request_id = message.get("id")
    if not isinstance(request_id, int | str | None) or isinstance(request_id, bool):
        raise RequestError('"id" must be a number or a text')
    do = message.get("do")
    if not isinstance(do, str):
        raise RequestError('"do" must name a request as a text; ' + known(""), request_id)
    if do not in REQUESTS:
        raise RequestError(f"there is no request {do[:40]!r}; {known(do[:40])}", request_id)
    return Request(request_id, do, {k: v for k, v in message.items() if k not in {"id", "do"}})


def answered(request_id: int | str | None, result: dict[str, Any]) -> dict[str, Any]:
    """Give the answer to a request that was fulfilled."""
    return {"id": request_id, "ok": True, "result": result}


def refused(request_id: int | str | None, sentence: str) -> dict[str, Any]:
    """Give the answer to a request that was not fulfilled."""
    return {"id": request_id, "ok": False, "error": sentence}


def event_of(source: str, raw: object, now: float) -> dict[str, Any]:
    """Give a child's event in the shape everybody reads: time (epoch), from, level, text, ...

    Never fails: an event that is not well-formed is reported as it is.
    """
    event: dict[str, Any] = dict(raw) if isinstance(raw, dict) else {"text": repr(raw)[:200]}
    level = event.get("level")
    text = event.get("text")
    event["level"] = level if isinstance(level, str) and level in LEVELS else "info"
    event["text"] = text if isinstance(text, str) and text else repr(raw)[:200]
    event["from"] = source
    event.setdefault("time", round(now, 3))
    return event
