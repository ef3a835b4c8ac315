# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a draft to the file: its text, the preview, writing, the history and the way back."""

from __future__ import annotations

import asyncio
import difflib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .backend import Failed
from .edits import Replace, clean
from .protocol import CONFLICT, INVALID, LONGEST_REASON
from .site import actor_of, form_of, page, session_of, site_of, to
from .underline import lines_of
from .work import Work, change, look

# -- the file as text


async def file(request: Request) -> Response:
    """Show lvs.cf with its findings underlined."""
    work = await look(request)
    return _file_page(request, work)


def _file_page(request: Request, work: Work, why: str = "", status: int = 200) -> Response:
    shown = clean(work.text)
    return page(
        request,
        "file.html",
        status,
        work=work,
        lines=lines_of(work.text, work.loaded.findings),
        findings=work.loaded.findings,
        typed=shown,
        typable=shown == work.text,
        why=why,
        editing=request.query_params.get("edit") == "yes",
    )


async def set_file(request: Request) -> Response:
    """Take the whole text, as it was typed."""
    work = await look(request)
    if clean(work.text) != work.text:
        why = "the file has bytes that are no UTF-8, which a text field would lose; use the forms"
        return _file_page(request, work, why, 422)
    text = restored(form_of(request).get("text", ""), work.text)
    faults = await change(request, work, [Replace(text)])
    if faults:
        return _file_page(request, work, " ".join(faults), 422)
    return to("/apply", request)


def restored(typed: str, before: str) -> str:
    """Give a typed text the line ends of the text before: a browser sends \\r\\n for each. Pure."""
    typed = typed.replace("\r\n", "\n").replace("\r", "\n")
    if "\r" not in before:
        return typed
    old = before.splitlines(keepends=True)
    new = typed.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in before else "\r"
    bare = [line.rstrip("\r\n") for line in old]
    matcher = difflib.SequenceMatcher(None, bare, [line.rstrip("\n") for line in new], False)
    made: list[str] = []
    for what, from_old, to_old, from_new, to_new in matcher.get_opcodes():
        if what == "equal":
            made += old[from_old:to_old]
        else:
            made += [line.replace("\n", end) for line in new[from_new:to_new]]
    return "".join(made)


# -- preview and writing


async def preview(request: Request) -> Response:
    """Show what the draft would change: findings, text, meaning, table."""
    work = await look(request)
    if work.draft is None:
        return page(request, "message.html", title="Nothing to apply", text=NOTHING)
    return await _preview(request, work, "")


NOTHING = "There are no changes of yours that wait to be applied."


async def _preview(request: Request, work: Work, why: str, status: int = 200) -> Response:
    if work.draft is None:
        return page(request, "message.html", title="Nothing to apply", text=NOTHING)
    draft, left = work.draft, list[str]()
    if work.stale and not any(isinstance(one, Replace) for one in draft.edits):
        # What counts now is what the changes would be upon the file that is there.
        digest, text = str(work.file.get("digest", "")), str(work.file.get("text", ""))
        draft, left = await asyncio.to_thread(draft.onto, digest, text)
    told = await site_of(request).backend.ask(
        "preview", {"digest": draft.digest, "text": draft.text}, actor_of(request)
    )
    return page(
        request,
        "preview.html",
        status,
        work=work,
        told=told,
        conflict=await _quicker(request, work) if work.stale or told.get("conflict") else None,
        left=left,
        reason=form_of(request).get("why", ""),
        why=why,
        longest=LONGEST_REASON,
    )


async def _quicker(request: Request, work: Work) -> dict[str, Any]:
    """Give who, when and why the file became what it is; nothing if it was not by the page."""
    told = await site_of(request).backend.ask("history", by=actor_of(request))
    here = work.file.get("digest")
    return next((one for one in told.get("entries") or () if one.get("after") == here), {})


async def write(request: Request) -> Response:
    """Write the draft and put it in force, once it has a reason."""
    work, form = await look(request), form_of(request)
    session = session_of(request)
    if work.draft is None or session is None:
        return to("/apply")
    reason = form.get("why", "").strip()
    if not reason:
        return await _preview(request, work, "give a reason; it is kept in the history", 400)
    arguments = {"digest": work.draft.digest, "text": work.draft.text, "why": reason}
    try:
        told = await site_of(request).backend.ask("write", arguments, actor_of(request))
    except Failed as why:
        if why.code == CONFLICT:
            return await _preview(request, await look(request), str(why), 409)
        if why.code == INVALID:
            return await _preview(request, work, str(why), 422)
        raise
    session.draft = None
    await site_of(request).live.fresh(0.0)
    state = "It is in force." if told.get("in_force") else str(told.get("note") or "")
    sentences = [f"Written as serial number {told.get('serial')}.", state]
    sentences += [f"Note: {one}" for one in told.get("warnings") or ()]
    return to("/history", request, " ".join(one for one in sentences if one))


async def discard(request: Request) -> Response:
    """Throw the draft away, or its last change, or lay it upon the file as it is now."""
    session, what = session_of(request), form_of(request).get("do", "")
    if session is None or session.draft is None:
        return to("/apply")
    if what == "undo":
        await asyncio.to_thread(session.draft.undo)
        if session.draft.empty:
            session.draft = None
        return to("/apply" if session.draft else "/virtual", request, "The last change is undone.")
    if what == "rebase":
        work = await look(request)
        file = work.file
        moved, left = await asyncio.to_thread(
            session.draft.onto, str(file.get("digest", "")), str(file.get("text", ""))
        )
        session.draft = None if moved.empty else moved
        note = "Your changes lie upon the file as it is now."
        if left:
            note = "Left out, since the file is another one now: " + "; ".join(left)
        return to("/apply", request, note, "warn" if left else "good")
    session.draft = None
    return to("/virtual", request, "Your changes are thrown away.")


# -- history


async def history(request: Request) -> Response:
    """Show who changed the file, when, why and what."""
    told = await site_of(request).backend.ask("history", by=actor_of(request))
    work = await look(request)
    return page(request, "history.html", entries=told.get("entries") or (), work=work)


async def restore(request: Request) -> Response:
    """Make the text before an entry of the history the draft, and show what that would change."""
    number = form_of(request).get("number", "")
    session = session_of(request)
    if not (number.isascii() and number.isdigit()) or session is None:
        raise Failed("there is no such entry in the history", "unknown")
    told = await site_of(request).backend.ask("old", {"number": int(number)}, actor_of(request))
    work = await look(request)
    base = str(work.file.get("text", ""))
    session.draft = None
    fresh = Work(work.file, work.rights, None, base, work.loaded, work.editing, work.why_not)
    faults = await change(request, fresh, [Replace(str(told.get("text", "")))])
    if faults:
        return to("/history", request, " ".join(faults), "bad")
    if session.draft is None:
        return to("/history", request, "The file says that already.")
    return to("/apply", request, f"The text from before change {number} is ready to be applied.")
