# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""This router's lvs.cf in the place of the partner's: seen first, then written by the partner.

The editors of both do it (ssh, their own checks); here is what is shown of it.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from piranha.core.lvs_cf.document import parse

from .backend import Failed
from .protocol import LONGEST_REASON, UNAVAILABLE
from .site import actor_of, form_of, page, site_of, to

OK = 200


async def show(request: Request) -> Response:
    """Show what the partner says of this router's file."""
    return await _show(request, "")


async def _show(request: Request, why: str, status: int = OK) -> Response:
    mine = await site_of(request).backend.ask("config", by=actor_of(request))
    told: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    trouble, same = "", False
    try:
        theirs = await _ask(request, {"do": "config"})
        same = alike(str(mine.get("text", "")), str(theirs.get("text", "")))
        if not same:
            asked = {"do": "preview", "digest": theirs.get("digest"), "text": mine.get("text")}
            told = await _ask(request, asked)
    except Failed as failure:
        trouble = str(failure)
        status = failure.status if status == OK else status
    return page(
        request,
        "partner.html",
        status,
        told=told,
        trouble=trouble,
        why=why,
        same=same,
        digest=str(theirs.get("digest", "")),
        mine=str(mine.get("digest", "")),
        reason=form_of(request).get("why", ""),
        longest=LONGEST_REASON,
    )


def alike(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but the counter of saves. Pure."""
    return one == other or _uncounted(one) == _uncounted(other)


def _uncounted(text: str) -> str:
    document = parse(text)
    document.remove(document.root, "serial_no")
    return document.text()


async def write(request: Request) -> Response:
    """Write it there, if both files are still those that were shown."""
    form = form_of(request)
    reason = form.get("why", "").strip()
    if not reason:
        return await _show(request, "give a reason; it is kept in the history", 400)
    mine = await site_of(request).backend.ask("config", by=actor_of(request))
    if mine.get("digest") != form.get("mine"):
        why = "this router's file has changed since it was shown; look at it again"
        return await _show(request, why, 409)
    asked = {
        "do": "write",
        "digest": form.get("digest", ""),
        "text": mine.get("text"),
        "why": reason,
    }
    try:
        told = await _ask(request, asked)
    except Failed as failure:
        if failure.code == UNAVAILABLE:
            raise
        return await _show(request, str(failure), failure.status)
    state = "it is in force there" if told.get("in_force") else str(told.get("note") or "")
    note = f"The partner has written it as serial number {told.get('serial')}; {state}."
    return to("/partner", request, note)


async def _ask(request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    return await site_of(request).backend.ask("partner", {"ask": asked}, actor_of(request))
