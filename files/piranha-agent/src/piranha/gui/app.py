# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The web application, put together: door, router, answers to what fails. It decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.routing import Route as WebRoute
from starlette.staticfiles import StaticFiles

from .backend import Backend, Failed
from .door import Door
from .keeping import keep
from .live import Live
from .routes import POST, ROUTES, Route, large_paths
from .sessions import Attempts, Clock, Sessions
from .site import STATIC, Settings, Site, Users, environment, page

LOG = logging.getLogger("piranha.gui")


def application(
    backend: Backend, users: Users, settings: Settings, clock: Clock = time.monotonic
) -> Starlette:
    """Give the whole page. backend: the agent. users: who may log in."""
    site = Site(
        backend=backend,
        users=users,
        settings=settings,
        sessions=Sessions(clock),
        attempts=Attempts(clock),
        live=Live(backend),
        templates=environment(),
        clock=clock,
    )
    app = Starlette(
        routes=[*_web_routes(), Mount("/static", _Shipped(directory=STATIC), name="static")],
        middleware=[Middleware(Door, site=site, large=large_paths())],
        exception_handlers={Failed: _failed, HTTPException: _http, Exception: _broken},
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.site = site
    return app


class _Shipped(StaticFiles):
    """Files of ours, whose address changes with their content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def _web_routes() -> list[BaseRoute]:
    return [
        WebRoute(
            route.path,
            _guarded(route),
            methods=[route.method],
            name=f"{route.method} {route.path}",
        )
        for route in ROUTES
    ]


def _guarded(route: Route) -> Callable[[Request], Awaitable[Response]]:
    """Let only those answer who have the role of the table."""

    async def answer(request: Request) -> Response:
        person = request.scope.get("piranha.person")
        if route.role != "public" and (person is None or not person.may(route.role)):
            raise Failed(f"this needs the role {route.role}", "forbidden")
        request.scope["piranha.route"] = route
        answered = await route.answer(request)
        if route.method == POST:
            await keep(request)
        return answered

    return answer


async def _failed(request: Request, why: Exception) -> Response:
    """Say why the agent did not do it."""
    failure = why if isinstance(why, Failed) else Failed(str(why))
    if _for_machines(request):
        told = {"error": str(failure), "code": failure.code, "details": failure.details}
        return JSONResponse(told, failure.status)
    if request.url.path in FRAGMENTS:
        return PlainTextResponse(f"{failure}\n", failure.status)
    return page(request, "message.html", failure.status, title="Not done", text=str(failure))


FRAGMENTS = ("/rows", "/servers", "/findings", "/live")


def _for_machines(request: Request) -> bool:
    path = request.url.path
    return path.startswith("/api/") or path == "/metrics"


async def _http(request: Request, why: Exception) -> Response:
    """There is no such page, or not with that method."""
    status = why.status_code if isinstance(why, HTTPException) else 500
    text = {404: "There is no such page.", 405: "This page does not take that method."}.get(
        status, "The request cannot be answered."
    )
    headers = getattr(why, "headers", None)
    if _for_machines(request):
        return JSONResponse({"error": text}, status, headers)
    return PlainTextResponse(text + "\n", status, headers)


async def _broken(request: Request, why: Exception) -> Response:
    """A mistake of ours: the log has it, the browser gets a sentence."""
    LOG.error("%s %s failed: %r", request.method, request.url.path, why)
    text = "The page has made a mistake; its log says which."
    return (
        JSONResponse({"error": text}, 500)
        if _for_machines(request)
        else PlainTextResponse(text + "\n", 500)
    )


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Read the agent as long as the page is served."""
    site: Site = app.state.site
    tasks = [
        asyncio.create_task(site.live.watch(), name="watch"),
        asyncio.create_task(site.live.follow(), name="follow"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await site.backend.close()
