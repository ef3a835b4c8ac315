# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text that somebody works on: the file, or that person's draft of it, and its meaning."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.requests import Request

from piranha.core.lvs_cf.api import Loaded, load

from .access import EDIT
from .backend import Failed
from .draft import Draft
from .edits import Edit
from .forms import Programs
from .site import actor_of, person_of, session_of, site_of

KEPT_READINGS = 4
"""Texts whose meaning is remembered; each step of a person makes one more."""


@lru_cache(maxsize=KEPT_READINGS)
def reading(text: str) -> Loaded:
    """Give document, meaning and findings of a text. Nobody may change the document."""
    return load(text)


@dataclass(frozen=True)
class Work:
    """The file and the draft of one person.

    text: what the pages show. editing: whether this person may change it here; why_not says why
    not. stale: the file is not any more the one that the draft is based on.
    """

    file: dict[str, Any]
    rights: dict[str, Any]
    draft: Draft | None
    text: str
    loaded: Loaded
    editing: bool
    why_not: str

    @property
    def stale(self) -> bool:
        """Whether somebody else has written meanwhile."""
        return self.draft is not None and self.draft.digest != self.file.get("digest")

    @property
    def managed(self) -> bool:
        """Whether Ansible writes this file."""
        return bool(self.rights.get("managed_by_ansible"))

    @property
    def drafting(self) -> bool:
        """Whether a draft may be made: of a file of Ansible's too, to take it away as YAML."""
        return self.editing or self.managed


async def look(request: Request) -> Work:
    """Read the file and see what this person has made of it; Failed."""
    site, session = site_of(request), session_of(request)
    actor = actor_of(request)
    rights, file = await asyncio.gather(
        site.backend.ask("rights", by=actor), site.backend.ask("config", by=actor)
    )
    draft = session.draft if session is not None else None
    text = draft.text if draft is not None else str(file.get("text", ""))
    loaded = await asyncio.to_thread(reading, text)
    may = person_of(request).may(EDIT)
    why_not = "" if may else "Your role may look at lvs.cf, not change it."
    if may and not rights.get("editing"):
        why_not = str(rights.get("why_not") or "Editing is switched off here.")
    editing = may and bool(rights.get("editing"))
    return Work(file, rights, draft, text, loaded, editing, why_not)


async def change(request: Request, work: Work, edits: list[Edit]) -> list[str]:
    """Take edits into the person's draft. What cannot be done is told, and then nothing is done."""
    session = session_of(request)
    if session is None:
        raise Failed("a draft belongs to a browser's session; machines write a whole text")
    if not (work.drafting and person_of(request).may(EDIT)):
        return [work.why_not or "Editing is switched off here."]
    draft = session.draft
    if draft is None:
        text = str(work.file.get("text", ""))
        draft = Draft(str(work.file.get("digest", "")), text, text)
    faults = await asyncio.to_thread(draft.add, edits)
    if not faults:
        session.draft = None if draft.empty else draft
    return faults


async def programs(request: Request) -> Programs:
    """Give the programs that may be chosen; none where the agent does not say."""
    try:
        told = await site_of(request).backend.ask("programs", by=actor_of(request))
    except Failed:
        return Programs()
    listed = told.get("programs") or ()
    fit = tuple(str(one.get("path")) for one in listed if one.get("fit"))
    return Programs(fit, str(told.get("folder") or ""))
