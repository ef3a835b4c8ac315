# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words spoken on the control socket and between pulse and its children; pure, no socket.

Control socket, one JSON object a line, answers may come in another order than the requests:

    {"id": 1, "do": "status"}          ->  {"id": 1, "ok": true, "result": {...}}
    {"id": 2, "do": "stauts"}          ->  {"id": 2, "ok": false, "error": "one sentence"}
    {"id": 3, "do": "events"}          ->  {"id": 3, "ok": true, "result": {"events": [...]}}
                                           {"id": 3, "event": {...}}      as they happen

What changes anything may be asked by root only (the kernel says who asks); what reads, by
whoever may open the socket.

Pulse and a child (see docs/architecture.md): `tick`, `state`, `event`, `answer` from the child,
`ask` from pulse.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any

MAX_REQUEST = 64 * 1024
"""Bytes in one request; answers may be as long as link.MAX_LINE."""

REQUESTS = {
    "status": "what this router does and sees: state, partner, virtual services, real servers",
    "reload": "read lvs.cf again; a bad one changes nothing and is answered with the reasons",
    "events": "the last events, then each new one as it happens",
    "version": "the version of the agent that runs",
    "servers": "one real server in all its virtual services or in one, with its connections now",
    "check": "have lvsd make its check of a real server now; `servers` tells what came of it",
    "switchover": "let the partner take the virtual addresses over, connections first, and stay",
    "override": "drain, disable or enable a real server, or set its weight, until told otherwise",
}
"""Everything that can be asked, with one line of help each. The server, the command line and the
documentation read it from here."""

CHANGES = frozenset({"reload", "override", "check", "switchover"})
"""Requests that only root, or the user that pulse runs as, may make."""

LEVELS = {"crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
"""Levels of an event, as syslog numbers them."""


@dataclass(frozen=True)
class Request:
    """One well-formed request."""

    id: int | str | None
    do: str
    arguments: dict[str, Any]
    uid: int | None = None
    """The user who asks, as the kernel says; None where there is no connection."""


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


def permitted(request: Request, own_uid: int) -> str | None:
    """Say in a sentence why the asker may not ask that, or give None. own_uid: pulse's user."""
    if request.do not in CHANGES or request.uid in {0, own_uid}:
        return None
    return f"user {request.uid} may not {request.do}; only root may change anything, use sudo"


def answered(request_id: int | str | None, result: dict[str, Any]) -> dict[str, Any]:
    """Give the answer to a request that was fulfilled."""
    return {"id": request_id, "ok": True, "result": result}


def refused(request_id: int | str | None, sentence: str) -> dict[str, Any]:
    """Give the answer to a request that was not fulfilled."""
    return {"id": request_id, "ok": False, "error": sentence}


@dataclass(frozen=True)
class Encoded:
    """A list that is JSON already, without its brackets, in pieces.

    A status of ten thousand servers goes through pulse like this: reading and writing it again
    would keep pulse from hearing the heart.
    """

    pieces: list[str]

    @property
    def text(self) -> str:
        """The whole list."""
        return f"[{','.join(piece for piece in self.pieces if piece)}]"


def encode(message: dict[str, Any]) -> str:
    """Give a message as one line of JSON, without the newline."""
    ready: list[str] = []

    def keep(value: object) -> str:
        if not isinstance(value, Encoded):
            raise TypeError(f"{type(value).__name__} cannot be JSON")
        ready.append(value.text)
        return _HERE

    rest = json.dumps(message, separators=(",", ":"), default=keep)
    done = []
    for text in ready:
        head, _unused, rest = rest.partition(_HERE_ENCODED)
        done += [head, text]
    return "".join([*done, rest])


_HERE = "\0encoded\0"
_HERE_ENCODED = json.dumps(_HERE)


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
