# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON interface: what the pages show and do, for machines. Which route is which: routes.py."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from piranha.control.metrics import CONTENT_TYPE
from piranha.control.render import services as listed

from . import views
from .backend import Failed
from .door import json_of
from .protocol import INVALID, UNKNOWN
from .schema import Fault, arguments
from .site import actor_of, site_of
from .work import reading


async def status(request: Request) -> Response:
    """Give the whole status, as `piranha status --json` has it."""
    return JSONResponse(await _status(request))


async def services(request: Request) -> Response:
    """Give the virtual services, each with its id and without its servers."""
    found = await _status(request)
    return JSONResponse(
        {
            "services": [
                {
                    "id": views.identity(one),
                    **{key: value for key, value in one.items() if key != "servers"},
                    "servers": len(one.get("servers") or ()),
                }
                for one in listed(found)
            ]
        }
    )


async def service(request: Request) -> Response:
    """Give one virtual service with its real servers."""
    found = views.find_service(await _status(request), request.path_params["id"])
    if found is None:
        raise Failed("there is no such virtual service in force", UNKNOWN)
    return JSONResponse({"id": request.path_params["id"], **found})


async def _status(request: Request) -> dict[str, Any]:
    live = site_of(request).live
    if await live.fresh() is None:
        raise Failed(live.trouble, "unavailable")
    return live.status


async def events(request: Request) -> Response:
    """Give events after a number; waits for the next one as long as it is told to."""
    return await _asked(request, "events", _query(request))


def _query(request: Request) -> dict[str, Any]:
    """Read the numbers of a query."""
    told = {}
    for name in ("after", "wait"):
        text = request.query_params.get(name)
        if text is not None:
            if not (text.isascii() and text.isdigit()) or len(text) > len(str(2**63)):
                raise Failed(f"{name} must be a whole number that is not negative", INVALID)
            told[name] = int(text)
    if told.get("wait", 0) > LONGEST_POLL:
        raise Failed(f"wait must be {LONGEST_POLL} seconds at most", INVALID)
    return told


LONGEST_POLL = 20
"""Seconds that a machine may have an answer wait for an event."""


async def config(request: Request) -> Response:
    """Give lvs.cf with its digest."""
    return await _asked(request, "config")


async def rights(request: Request) -> Response:
    """Say what may be done here at all."""
    return await _asked(request, "rights")


async def check(request: Request) -> Response:
    """Check a text as lvs.cf, without a look at the file in force."""
    told = _body(request)
    loaded = await asyncio.to_thread(reading, str(told["text"]))
    return JSONResponse(
        {
            "errors": len(loaded.errors),
            "findings": [one._asdict() for one in loaded.findings],
        }
    )


async def preview(request: Request) -> Response:
    """Say what a text would change."""
    return await _asked(request, "preview", _body(request))


async def write(request: Request) -> Response:
    """Write a text and put it in force."""
    return await _asked(request, "write", _body(request))


async def partner_config(request: Request) -> Response:
    """Give the partner's lvs.cf with its digest."""
    return await _partner(request, "config")


async def partner_preview(request: Request) -> Response:
    """Say what a text would change on the partner."""
    return await _partner(request, "preview", _body(request))


async def partner_write(request: Request) -> Response:
    """Have the partner write a text and put it in force."""
    return await _partner(request, "write", _body(request))


async def _partner(request: Request, do: str, told: dict[str, Any] | None = None) -> Response:
    return await _asked(request, "partner", {"ask": {**(told or {}), "do": do}})


async def history(request: Request) -> Response:
    """Give the changes made by the page."""
    return await _asked(request, "history")


async def old(request: Request) -> Response:
    """Give the text from before a change."""
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(2**31)):
        raise Failed("there is no such entry in the history", UNKNOWN)
    return await _asked(request, "old", {"number": int(text)})


async def order(request: Request) -> Response:
    """Give an order."""
    return await _asked(request, "order", _body(request))


async def check_now(request: Request) -> Response:
    """Make a check of one real server."""
    return await _asked(request, "check_now", _body(request))


async def programs(request: Request) -> Response:
    """Give the programs that may be chosen."""
    return await _asked(request, "programs")


async def metrics(request: Request) -> Response:
    """Give the numbers for Prometheus."""
    told = await site_of(request).backend.ask("metrics", by=actor_of(request))
    return PlainTextResponse(str(told.get("text", "")), media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """Describe this interface."""
    from .routes import description

    return JSONResponse(description())


async def _asked(request: Request, do: str, told: dict[str, Any] | None = None) -> Response:
    answer = await site_of(request).backend.ask(do, told, actor_of(request))
    return JSONResponse(answer)


def _body(request: Request) -> dict[str, Any]:
    """Read the body by its schema; Failed with a sentence about the first thing that is wrong."""
    try:
        return arguments(request.scope["piranha.route"].body, json_of(request.scope))
    except (ValueError, Fault) as why:
        raise Failed(str(why), INVALID) from None
