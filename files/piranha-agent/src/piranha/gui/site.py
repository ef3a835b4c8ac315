# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all pages share: settings, sessions, the reading of the agent, templates, forms.

No page of its own, and no decision about who may do what: that is access.py's.
"""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from . import access, words
from .access import Person
from .backend import Backend
from .edits import clean
from .live import Live
from .protocol import Actor
from .sessions import Attempts, Clock, Session, Sessions

HERE = Path(__file__).resolve().parent
TEMPLATES, STATIC = HERE / "templates", HERE / "static"
MOST_FIELDS = 400
"""Fields of one form; the largest of ours has about a hundred."""


class Users(Protocol):
    """Who may log in. Both take as long as they need and are called beside the loop."""

    def login(self, name: str, password: str) -> str | None:
        """Give the role of a user whose password that is; None otherwise."""

    def token(self, token: str) -> tuple[str, str] | None:
        """Give name and role of the machine whose token that is; None otherwise."""

    def role(self, name: str) -> str | None:
        """Give the role that a user has now; None if there is none such any more."""


@dataclass(frozen=True)
class Settings:
    """secure: the page is reached by TLS, so its cookie is sent by TLS only."""

    secure: bool = True
    host: str = field(default_factory=socket.gethostname)


def cookie_name(settings: Settings) -> str:
    """Give the name of the session's cookie; with this prefix browsers insist on TLS."""
    return "__Host-piranha" if settings.secure else "piranha"


@dataclass
class Site:
    """All of that."""

    backend: Backend
    users: Users
    settings: Settings
    sessions: Sessions
    attempts: Attempts
    live: Live
    templates: Environment
    clock: Clock


def environment() -> Environment:
    """Give the templates: all that they show is escaped, whatever it is."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_showable,
    )
    made.filters["ticked"] = ticked
    made.globals.update(
        words=words,
        access=access,
        asset=assets(),
        link=link,
    )
    return made


def _showable(value: object) -> object:
    """Bytes of a file that are no UTF-8 cannot be sent; the page shows a mark for them."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isascii():
        return clean(value)
    return value


_TICKED = re.compile(r"`([^`]*)`")


def ticked(text: str) -> Markup:
    """Give a sentence of our own with its `words` set as code; all of it is escaped first."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(clean(text)))))  # noqa: S704 - escaped


def link(path: str, **query: object) -> str:
    """Give an address of ours with a query; what is empty is left out."""
    kept = {key: str(value) for key, value in query.items() if value not in ("", None, 1)}
    told = urlencode(kept, quote_via=quote, errors="surrogateescape")
    return f"{path}?{told}" if told else path


def assets() -> dict[str, str]:
    """Give the address of each shipped file; a new content is a new address."""
    made = {}
    for file in sorted(STATIC.iterdir()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        made[file.name] = f"/static/{file.name}?{digest}"
    return made


def site_of(request: Request) -> Site:
    """Give what all pages share."""
    return cast(Site, request.app.state.site)


def person_of(request: Request) -> Person:
    """Give who asks; the gate has let nobody else through."""
    return cast(Person, request.scope["piranha.person"])


def session_of(request: Request) -> Session | None:
    """Give the session of the person; None for a machine with a token."""
    return cast("Session | None", request.scope.get("piranha.session"))


def actor_of(request: Request) -> Actor:
    """Give who asks in the words of the editor."""
    person = person_of(request)
    return Actor(person.name, person.role)


def form_of(request: Request) -> dict[str, str]:
    """Give the form that came, as the door read it; the last field of one name counts."""
    return cast(dict[str, str], request.scope.get("piranha.form", {}))


def parse_form(body: bytes) -> dict[str, str]:
    """Read a form's body. ValueError where it is none, or has too many fields."""
    pairs = parse_qsl(
        body.decode("ascii"),
        keep_blank_values=True,
        encoding="utf-8",
        errors="strict",
        max_num_fields=MOST_FIELDS,
    )
    return dict(pairs)


def page(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    """Give a page of ours."""
    site = site_of(request)
    person = request.scope.get("piranha.person")
    session = session_of(request)
    notes: list[tuple[str, str]] = []
    if session is not None and not template.startswith("_"):  # a part of a page shows none
        notes, session.notes = session.notes, []
    html = site.templates.get_template(template).render(
        person=person,
        csrf=session.csrf if session is not None else "",
        notes=notes,
        host=site.settings.host,
        path=request.url.path,
        pending=session.draft if session is not None else None,
        **shown,
    )
    return HTMLResponse(html, status)


def to(path: str, request: Request | None = None, note: str = "", tone: str = "good") -> Response:
    """Send the browser on with GET; the next page says the note once."""
    session = session_of(request) if request is not None else None
    if session is not None and note:
        session.notes.append((tone, note))
    return RedirectResponse(path, 303)
