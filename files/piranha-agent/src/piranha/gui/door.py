# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door of the page: limits first, then who asks, then whether that one may; only then a route.

It stands before the router, so that no method, path or way of writing a path leads around it. A
request without login learns nothing: not whether a path exists, not which methods it takes.
"""

from __future__ import annotations

import asyncio
import http.cookies
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import READING, Person, bearer, came_from, is_open, own_origin
from .site import Site, cookie_name, parse_form

MOST_BODY = 64 * 1024
"""Bytes of a body, but for those paths that take a whole lvs.cf."""

MOST_TEXT = 24 * 1024 * 1024
"""Bytes of a body with a whole lvs.cf in it: as a form, nearly each character may take three."""

BODY_WITHIN = 30.0
"""Seconds in which a body has to be there."""

ANSWER_WITHIN = 90.0
"""Seconds for everything but the live stream."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
PRIVATE = "no-store"
"""What this page shows is kept by no browser and no proxy."""

LIVE = "/live"


class Door:
    """An ASGI application around the router."""

    def __init__(self, app: ASGIApp, site: Site, large: Iterable[str] = ()) -> None:
        """large: paths that take a whole lvs.cf."""
        self._app, self._site, self._large = app, site, frozenset(large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # web sockets have no use here; uvicorn answers with a refusal
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        dressed = _with_headers(sending, scope["path"])
        try:
            async with asyncio.timeout(None if scope["path"] == LIVE else ANSWER_WITHIN):
                refusal = await self._look(scope, receive)
                if refusal is not None:
                    await refusal(scope, receive, dressed)
                elif scope["method"] in READING:
                    await self._app(scope, receive, dressed)
                else:
                    await self._app(scope, _again(scope), dressed)
        except TimeoutError:
            if not started:
                late = PlainTextResponse("this took too long; try again\n", 503)
                await late(scope, receive, dressed)

    async def _look(self, scope: Scope, receive: Receive) -> Response | None:
        """Give the answer for whom the door stays shut; None lets the request through."""
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        scope["piranha.body"] = b""
        known = await self._who(scope, headers, path)
        if not known and not is_open(method, path):
            return _login(method, path, scope, headers)
        if method in READING:
            return None
        host, scheme = headers.get("host", ""), scope.get("scheme", "http")
        if not own_origin(headers.get("origin"), host, scheme):
            return _refuse(path, 403, "this request was not made on one of this page's own forms")
        most = MOST_TEXT if known and path in self._large else MOST_BODY
        body = await _body(headers, receive, most)
        if body is None:
            return _refuse(path, 413, f"the request is larger than {most} bytes")
        scope["piranha.body"] = body
        return self._form(scope, headers, body)

    async def _who(self, scope: Scope, headers: Headers, path: str) -> bool:
        """Find out who asks: a session's cookie, or a machine's token."""
        token = bearer(headers.get("authorization", ""))
        if token is not None:
            machine = await asyncio.to_thread(self._site.users.token, token)
            if machine is not None:
                scope["piranha.person"] = Person(*machine, by_token=True)
            return machine is not None
        cookie = _cookie(headers.get("cookie", ""), cookie_name(self._site.settings))
        session = self._site.sessions.find(cookie, touch=path != LIVE) if cookie else None
        if session is None:
            return False
        role = await asyncio.to_thread(self._site.users.role, session.user)
        if role is None:
            self._site.sessions.end(cookie)
            return False
        session.role = role  # it may have changed since the login
        scope["piranha.session"], scope["piranha.cookie"] = session, cookie
        scope["piranha.person"] = Person(session.user, role)
        return True

    def _form(self, scope: Scope, headers: Headers, body: bytes) -> Response | None:
        """Read the form, and see that it is one of this session's (CSRF).

        The login's own form is of no session; the browser's word about the origin guards it.
        """
        path = scope["path"]
        form: dict[str, str] = {}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            try:
                form = parse_form(body)
            except ValueError:
                return _refuse(path, 400, "the form cannot be read")
        scope["piranha.form"] = form
        session = scope.get("piranha.session")
        if session is not None and not is_open(scope["method"], path):
            token = headers.get("x-csrf-token") or form.get("csrf", "")
            if session.forged(token):
                why = "the form is not of this session; go back, load the page anew, and try again"
                return _refuse(path, 403, why)
        return None


def _cookie(header: str, name: str) -> str:
    jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    try:
        jar.load(header)
    except http.cookies.CookieError:
        return ""
    found = jar.get(name)
    return found.value if found is not None else ""


def _is_api(path: str) -> bool:
    return path.startswith("/api/") or path == "/metrics"


def _login(method: str, path: str, scope: Scope, headers: Headers) -> Response:
    """Say that a login is needed: a browser is led to the form, all others are told."""
    if _is_api(path) or "text/html" not in headers.get("accept", ""):
        return JSONResponse(
            {"error": "log in first, or send a token as Authorization: Bearer TOKEN"},
            401,
            {"www-authenticate": "Bearer"},
        )
    raw = scope.get("query_string", b"").decode("latin-1")
    asked = {"next": path + (f"?{raw}" if raw else "")}
    if method not in READING:
        # Somebody's session has ended over a form; the way back is to the page that the form is on.
        came = came_from(headers.get("referer", ""), headers.get("host", ""))
        asked = {"next": came, "lost": "1"}
    told = urlencode({key: value for key, value in asked.items() if value != "/"})
    return RedirectResponse("/login" + (f"?{told}" if told else ""), 303)


def _refuse(path: str, status: int, sentence: str) -> Response:
    if _is_api(path):
        return JSONResponse({"error": sentence}, status)
    return PlainTextResponse(sentence + "\n", status)


async def _body(headers: Headers, receive: Receive, most: int) -> bytes | None:
    """Read the whole body; None where it is too large. TimeoutError where it is too slow."""
    told = headers.get("content-length", "0")
    if not told.isdigit() or int(told) > most:
        return None
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_WITHIN):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b""
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                return None
            if not message.get("more_body"):
                return b"".join(parts)


def _again(scope: Scope) -> Receive:
    """Give the body once more, to whoever stands behind the door; then nothing until the end."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await _disconnected()
        given = True
        return {"type": "http.request", "body": scope["piranha.body"], "more_body": False}

    return receive


async def _disconnected() -> Message:
    await asyncio.Event().wait()  # the server cancels the task when the browser has gone
    return {"type": "http.disconnect"}


def _with_headers(send: Send, path: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _value in message["headers"]}
            wanted = (
                {**HEADERS}
                if path.startswith("/static/")
                else {
                    **HEADERS,
                    "cache-control": PRIVATE,
                }
            )
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in wanted.items()
                    if name.encode() not in names
                ),
            ]
        await send(message)

    return sending


def json_of(scope: Scope) -> Mapping[str, Any]:
    """Give the JSON object that came as body. ValueError with a sentence where it is none."""
    try:
        found = json.loads(scope.get("piranha.body") or b"{}")
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("the body must be a JSON object")
    return found


Handler = Callable[..., Awaitable[Response]]
