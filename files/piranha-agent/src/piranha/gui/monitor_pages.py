# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""CONTROL/MONITORING: the whole, one virtual service, the log of events, and the live stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from . import views, words
from .access import OPERATE
from .live import BEAT, Full, Viewer, message
from .protocol import BY_LVSD, LONGEST_REASON
from .site import actor_of, form_of, page, person_of, site_of, to
from .views import Monitor, Row

HEARTBEAT = 20.0
"""Seconds after which the live stream says that it is still there."""

SHOWN_EVENTS = 12
"""Events at the end of CONTROL/MONITORING."""

MOST_OPENED = 20
"""Virtual services that one page may have open at once."""


async def show(request: Request) -> Response:
    """Show both routers and every virtual service."""
    site = site_of(request)
    monitor = await site.live.fresh()
    asked = request.query_params
    text, shade, sort = (asked.get(name, "") for name in ("q", "show", "sort"))
    rows = views.chosen(monitor.rows, text, shade, sort) if monitor is not None else []
    return page(
        request,
        "monitor.html",
        monitor=monitor,
        rows=rows,
        trouble=site.live.trouble,
        events=list(reversed(site.live.events[-SHOWN_EVENTS:])),
        filter=text,
        shade=shade,
        sort=sort,
        operate=OPERATE,
    )


async def rows(request: Request) -> Response:
    """Give the lines alone, for a page that has to begin anew."""
    monitor = await site_of(request).live.fresh()
    return page(request, "_rows.html", rows=monitor.rows if monitor else (), fos=_fos(monitor))


def _fos(monitor: Monitor | None) -> bool:
    return monitor is not None and monitor.fos


async def service(request: Request) -> Response:
    """Show one virtual service with its real servers."""
    found = await _service(request)
    if found is None:
        return page(request, "message.html", 404, title="Not found", text=NOT_THERE)
    own, lines = found
    return page(request, "service.html", service=own, rows=lines, operate=OPERATE)


NOT_THERE = "There is no such virtual service in force."


async def servers(request: Request) -> Response:
    """Give the real servers of one virtual service alone, for the page that opens it."""
    found = await _service(request)
    if found is None:
        return PlainTextResponse("", 404)
    own, lines = found
    return page(request, "_servers.html", service=own, rows=lines)


async def _service(request: Request) -> tuple[Row, list[Row]] | None:
    live = site_of(request).live
    monitor = await live.fresh()
    wanted = request.query_params.get("id", "")
    own = next((row for row in monitor.rows if row.id == wanted), None) if monitor else None
    lines = live.servers(wanted) if own is not None else None
    return None if own is None or lines is None else (own, lines)


async def events(request: Request) -> Response:
    """Show the log of events, newest first."""
    live = site_of(request).live
    return page(request, "events.html", events=list(reversed(live.events)))


# -- the live stream


async def live(request: Request) -> Response:
    """Give what changes as it changes, as server-sent events."""
    site = site_of(request)
    opened = [one for one in request.query_params.get("open", "").split(",") if one]
    try:
        viewer = site.live.enter(opened[:MOST_OPENED])
    except Full as why:
        return PlainTextResponse(f"{why}\n", 503, {"retry-after": "30"})
    return StreamingResponse(
        _stream(request, viewer),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _stream(request: Request, viewer: Viewer) -> AsyncIterator[bytes]:
    site = site_of(request)
    try:
        yield message("hello", {})
        viewer.tell("all", None)
        while _still_in(request):
            try:
                async with asyncio.timeout(HEARTBEAT):
                    kind, data = await viewer.queue.get()
            except TimeoutError:
                yield BEAT
                continue
            if kind == "all":
                data = site.live.whole(viewer)
                if data is None:
                    kind, data = "lost", {"why": site.live.trouble}
            elif kind == "head":
                data = _told_head(request)
            elif kind == "log":
                data = {"html": _log(request, data)}
            yield message(kind, data)
        yield message("bye", {})
    finally:
        site.live.leave(viewer)


def _still_in(request: Request) -> bool:
    """Whether the person is still logged in; the stream itself does not count as being busy."""
    cookie = request.scope.get("piranha.cookie")
    site = site_of(request)
    return cookie is None or site.sessions.find(cookie, touch=False) is not None


def _told_head(request: Request) -> dict[str, str]:
    """Give what stands above the rows: the routers, the number of services, the time of it all."""
    site = site_of(request)
    monitor = site.live.monitor
    html, total = (
        site.templates.get_template(name).render(monitor=monitor, person=person_of(request))
        for name in ("_head.html", "_total.html")
    )
    return {"html": html, "total": total, "at": words.clock(monitor.at) if monitor else ""}


def _log(request: Request, told: list[dict[str, Any]]) -> str:
    template = site_of(request).templates.get_template("_events.html")
    return template.render(events=list(reversed(told)))


# -- orders

ORDERS = {
    "drain": "Drain: no new connections, those that are open go on",
    "maintenance": "Maintenance: take it out of service, its connections too",
    "enable": "Enable: back to what its checks say",
    "weight": "Set its weight until told otherwise",
    "switchover": "Switch over: the partner takes the virtual addresses, connections first",
    "reload": "Reload lvs.cf; a bad file changes nothing",
}
OF_A_SERVER = ("drain", "maintenance", "enable", "weight")


async def order_form(request: Request) -> Response:
    """Ask for an order's reason and confirmation."""
    asked = request.query_params
    return _order_page(request, dict(asked), "")


def _order_page(request: Request, given: dict[str, str], why: str, status: int = 200) -> Response:
    server = given.get("server", "")
    offered = {name: text for name, text in ORDERS.items() if (name in OF_A_SERVER) == bool(server)}
    return page(
        request,
        "order.html",
        status,
        offered=offered,
        given=given,
        why_not=why,
        longest=LONGEST_REASON,
    )


async def order(request: Request) -> Response:
    """Carry an order out, once it has a reason and is confirmed."""
    form = form_of(request)
    name, reason = form.get("order", ""), form.get("why", "").strip()
    if name not in ORDERS:
        return _order_page(request, form, "choose what shall be done", 400)
    if not reason:
        return _order_page(request, form, "give a reason; it is kept with the order", 400)
    if form.get("confirm") != "yes":
        return _order_page(request, form, "confirm it by the check box", 400)
    arguments: dict[str, Any] = {"order": name, "why": reason}
    if name in OF_A_SERVER:
        arguments |= {"server": form.get("server", ""), "virtual": form.get("virtual") or None}
    if name == "weight":
        value = form.get("value", "").strip()
        if not (value.isascii() and value.isdigit()) and value != "configured":
            return _order_page(request, form, "a weight is a number, or: configured", 400)
        arguments["value"] = int(value) if value != "configured" else value
    site = site_of(request)
    told = await site.backend.ask("order", arguments, actor_of(request))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(site.live.fresh(0.0), 5)
    sentences = [str(one) for one in told.get("words") or ()] or ["Done."]
    for warning in told.get("warnings") or ():
        sentences.append(f"Note: {warning}")
    back = form.get("id", "")
    return to(f"/service?id={back}" if back.isalnum() else "/", request, " ".join(sentences))


async def check_now(request: Request) -> Response:
    """Make one check, and show its explanation."""
    form = form_of(request)
    arguments = {"virtual": form.get("virtual", ""), "server": form.get("server", "")}
    told = await site_of(request).backend.ask("check_now", arguments, actor_of(request))
    lines = [str(line) for line in told.get("lines") or ()]
    return page(
        request,
        "checked.html",
        verdict=str(told.get("verdict", "?")),
        lines=lines,
        by_hand=BY_LVSD not in lines,
        about=arguments,
        back=form.get("id", ""),
    )
