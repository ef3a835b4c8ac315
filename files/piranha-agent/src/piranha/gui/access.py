# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what on the web page: the roles, and what a request without login gets. Pure.

The table of all routes with the role that each needs is routes.py's; the router is built from it,
so that there is no route without a role.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .protocol import EDIT, OPERATE, ROLES, VIEW

__all__ = ["EDIT", "OPERATE", "PUBLIC", "ROLES", "VIEW", "Person", "allows", "is_open"]


PUBLIC = "public"
"""Needs no login: the login page itself and what it is made of."""

OPEN_PATHS = frozenset({"/login"})
OPEN_BELOW = "/static/"
READING = frozenset({"GET", "HEAD"})


def allows(role: str, needed: str) -> bool:
    """Whether a role is enough for what needs another."""
    if needed == PUBLIC:
        return True
    return role in ROLES and needed in ROLES and ROLES.index(role) >= ROLES.index(needed)


def is_open(method: str, path: str) -> bool:
    """Whether a request is answered without login. All else is not, whatever it is."""
    if path in OPEN_PATHS:
        return method in READING or method == "POST"
    return method in READING and path.startswith(OPEN_BELOW) and ".." not in path


@dataclass(frozen=True)
class Person:
    """Who asks. by_token: a machine with a token, which has no session and needs no CSRF token."""

    name: str
    role: str
    by_token: bool = False

    def may(self, needed: str) -> bool:
        """Whether this one may do what needs that role."""
        return allows(self.role, needed)


def bearer(header: str) -> str | None:
    """Give the token of an Authorization header; None where it is something else."""
    scheme, _blank, token = header.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def own_origin(origin: str | None, host: str, scheme: str) -> bool:
    """Whether a change comes of one of our pages, as far as the browser says it at all."""
    return origin is None or origin == f"{scheme}://{host}"


def came_from(referer: str, host: str) -> str:
    """Give the page of ours that a form was sent from, as far as the browser says it; else /."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return "/"
    ours = parts.netloc == host and parts.path.startswith("/")
    return parts._replace(scheme="", netloc="").geturl() if ours else "/"
