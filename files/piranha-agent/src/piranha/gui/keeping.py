# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's draft outlives the session and the page: the editor keeps its edits, as text.

The text of lvs.cf is no part of it: when the draft comes back, its edits are made upon the file as
it is then, and those that do not fit any more are named. The first half is pure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from starlette.requests import Request

from .access import EDIT
from .backend import Failed
from .draft import Draft
from .edits import Add, Copy, Delete, Edit, Rename, Replace, Set, Where
from .protocol import Actor
from .sessions import Session
from .site import Site, actor_of, person_of, session_of, site_of

BACK = "Your changes from before are here again. Nothing of them is written yet."
LEFT = "Your changes from before are here again, but for what does not fit the file any more: "


def to_text(draft: Draft | None) -> str:
    """Give a draft as it is kept; empty for none."""
    if draft is None:
        return ""
    return json.dumps({"digest": draft.digest, "edits": [_told(one) for one in draft.edits]})


def from_text(text: str) -> tuple[str, list[Edit]]:
    """Give the digest of the file that it was based on, and the edits. ValueError."""
    try:
        told = json.loads(text)
        return str(told["digest"]), [_edit(one) for one in told["edits"]]
    except (KeyError, TypeError, IndexError, AttributeError) as why:
        raise ValueError(f"no draft: {why!r}") from None


def _told(edit: Edit) -> list[Any]:
    if isinstance(edit, Replace):
        return ["replace", edit.text]
    where = list(edit.where)
    if isinstance(edit, Set):
        return ["set", where, [list(one) for one in edit.values]]
    if isinstance(edit, Add):
        return ["add", where, edit.kind, edit.name]
    if isinstance(edit, Delete):
        return ["delete", where]
    return ["copy" if isinstance(edit, Copy) else "rename", where, edit.name]


def _edit(told: list[Any]) -> Edit:
    what, *rest = told
    if what == "replace":
        return Replace(str(rest[0]))
    kind, name, nth, server, server_nth = rest[0]
    where = Where(str(kind), str(name), int(nth), str(server), int(server_nth))
    if what == "set":
        return Set(where, tuple((str(key), str(value)) for key, value in rest[1]))
    if what == "add":
        return Add(where, str(rest[1]), str(rest[2]))
    if what == "delete":
        return Delete(where)
    if what == "copy":
        return Copy(where, str(rest[1]))
    if what == "rename":
        return Rename(where, str(rest[1]))
    raise ValueError(f"there is no edit {what!r}")


def upon(told: str, digest: str, text: str) -> tuple[Draft, list[str]]:
    """Make a kept draft upon the file as it is; gives sentences of what is left out. ValueError."""
    _before, edits = from_text(told)
    return Draft("", "", "", edits).onto(digest, text)


async def keep(request: Request) -> None:
    """Have the editor keep what the person's draft is now, if it is another one than before."""
    session = session_of(request)
    if session is None or not person_of(request).may(EDIT):
        return
    site, draft = site_of(request), session.draft
    if draft is None:  # another window of the same person may have one
        others = (one.draft for one in site.sessions.of(session.user) if one.draft is not None)
        draft = next(others, None)
    told = to_text(draft)
    if told == session.kept:
        return
    session.kept = told
    with contextlib.suppress(Failed):  # what may not be kept, or is too large, lives in the session
        await site.backend.ask("keep", {"draft": told}, actor_of(request))


async def bring_back(site: Site, session: Session) -> None:
    """Give a person who has logged in the draft that was kept, unless another window has it."""
    actor = Actor(session.user, session.role)
    if session.role != EDIT or any(one.draft for one in site.sessions.of(session.user)):
        return
    with contextlib.suppress(Failed, ValueError):
        told = str((await site.backend.ask("kept", by=actor)).get("draft") or "")
        if not told:
            return
        file = await site.backend.ask("config", by=actor)
        text, digest = str(file.get("text", "")), str(file.get("digest", ""))
        draft, left = await asyncio.to_thread(upon, told, digest, text)
        session.kept = told
        if left:
            session.notes.append(("warn", LEFT + "; ".join(left)))
        elif not draft.empty:
            session.notes.append(("good", BACK))
        session.draft = None if draft.empty else draft
