# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in and out. Whether a password is right is the users file's to say."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import Response

from .backend import Failed
from .keeping import bring_back
from .protocol import VIEW, Actor
from .site import Site, cookie_name, form_of, page, session_of, site_of, to
from .words import span

LONGEST_NAME, LONGEST_PASSWORD = 64, 1024
AT_ONCE = asyncio.Semaphore(2)
"""Passwords that are tried at once: each costs memory and time on purpose."""

LOST = "you were not logged in any more, so what you sent was not taken; log in and send it again"
WRONG = "user name or password is wrong"


def local(path: str) -> str:
    """Give the page to go to after the login, if it is one of ours."""
    fits = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if fits and not path.startswith("/login") else "/"


async def show(request: Request) -> Response:
    """Show the form."""
    asked = request.query_params
    why = LOST if asked.get("lost") else ""
    return page(request, "login.html", wanted=local(asked.get("next", "/")), why=why)


async def enter(request: Request) -> Response:
    """Try a name and a password."""
    site, form = site_of(request), form_of(request)
    name, password = form.get("name", ""), form.get("password", "")
    wanted = local(form.get("next", "/"))
    address = request.client.host if request.client else "?"
    who = (f"address {address}", f"user {name[:LONGEST_NAME]}")
    wait = site.attempts.wait(*who)
    if wait:
        await _log(site, "locked", name, address)
        why = f"too many attempts have failed; try again in {span(wait)}"
        answer = page(request, "login.html", 429, wanted=wanted, why=why)
        answer.headers["retry-after"] = str(int(wait) + 1)
        return answer
    role = None
    if 0 < len(name) <= LONGEST_NAME and 0 < len(password) <= LONGEST_PASSWORD:
        # Counted before it is known: many attempts at once must not slip through side by side.
        site.attempts.failed(*who)
        async with AT_ONCE:
            role = await asyncio.to_thread(site.users.login, name, password)
    else:
        site.attempts.failed(*who)
    if role is None:
        await _log(site, "failed", name, address)
        return page(request, "login.html", 403, wanted=wanted, why=WRONG)
    site.attempts.succeeded(*who)
    await _log(site, "in", name, address, role)
    site.sessions.end(request.scope.get("piranha.cookie", ""))
    cookie, session = site.sessions.begin(name, role)
    await bring_back(site, session)
    answer = to(wanted)
    answer.set_cookie(
        cookie_name(site.settings),
        cookie,
        httponly=True,
        samesite="strict",
        secure=site.settings.secure,
        path="/",
    )
    return answer


async def leave(request: Request) -> Response:
    """Log out."""
    site, session = site_of(request), session_of(request)
    if session is not None:
        site.sessions.end(request.scope["piranha.cookie"])
        address = request.client.host if request.client else "?"
        await _log(site, "out", session.user, address, session.role)
    answer = to("/login")
    answer.delete_cookie(
        cookie_name(site.settings),
        httponly=True,
        samesite="strict",
        secure=site.settings.secure,
        path="/",
    )
    return answer


async def _log(site: Site, event: str, name: str, address: str, role: str = VIEW) -> None:
    """Tell the agent's log; a login does not fail for the agent's being away."""
    with contextlib.suppress(Failed):
        shown = "".join(sign for sign in name[:LONGEST_NAME] if sign.isprintable())
        told = {"event": event, "address": address}
        await site.backend.ask("login", told, Actor(shown or "?", role))
