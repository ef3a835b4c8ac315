# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route of the page in one table: method, path, the role it needs, what answers.

Router, access and the OpenAPI description are made from it; there is no other way in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from piranha import __version__

from . import api, apply_pages, config_pages, login_pages, monitor_pages, partner_pages, schema
from .access import EDIT, OPERATE, PUBLIC, VIEW
from .schema import Body

GET, POST, PUT = "GET", "POST", "PUT"
Answerer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """One row. summary: for the description; only routes below /api have one. large: the body may
    hold a whole lvs.cf. query: names of numbers in the query."""

    method: str
    path: str
    role: str
    answer: Answerer
    summary: str = ""
    body: Body = ()
    large: bool = False
    query: tuple[str, ...] = ()


ROUTES = (
    Route(GET, "/login", PUBLIC, login_pages.show),
    Route(POST, "/login", PUBLIC, login_pages.enter),
    Route(POST, "/logout", VIEW, login_pages.leave),
    Route(GET, "/", VIEW, monitor_pages.show),
    Route(GET, "/rows", VIEW, monitor_pages.rows),
    Route(GET, "/service", VIEW, monitor_pages.service),
    Route(GET, "/servers", VIEW, monitor_pages.servers),
    Route(GET, "/events", VIEW, monitor_pages.events),
    Route(GET, "/live", VIEW, monitor_pages.live),
    Route(GET, "/order", OPERATE, monitor_pages.order_form),
    Route(POST, "/order", OPERATE, monitor_pages.order),
    Route(POST, "/check-now", OPERATE, monitor_pages.check_now),
    Route(GET, "/settings", VIEW, config_pages.settings),
    Route(POST, "/settings", EDIT, config_pages.set_settings),
    Route(GET, "/redundancy", VIEW, config_pages.redundancy),
    Route(POST, "/redundancy", EDIT, config_pages.set_redundancy),
    Route(GET, "/virtual", VIEW, config_pages.virtual),
    Route(POST, "/virtual", EDIT, config_pages.change_virtual),
    Route(GET, "/virtual/edit", VIEW, config_pages.edit_virtual),
    Route(POST, "/virtual/edit", EDIT, config_pages.set_virtual),
    Route(GET, "/virtual/server", VIEW, config_pages.edit_server),
    Route(POST, "/virtual/server", EDIT, config_pages.set_server),
    Route(GET, "/failover", VIEW, config_pages.failover),
    Route(POST, "/failover", EDIT, config_pages.change_failover),
    Route(GET, "/failover/edit", VIEW, config_pages.edit_failover),
    Route(POST, "/failover/edit", EDIT, config_pages.set_failover),
    Route(GET, "/failover/server", VIEW, config_pages.edit_server),
    Route(POST, "/failover/server", EDIT, config_pages.set_server),
    Route(POST, "/findings", EDIT, config_pages.findings),
    Route(GET, "/file", VIEW, apply_pages.file),
    Route(POST, "/file", EDIT, apply_pages.set_file, large=True),
    Route(GET, "/apply", EDIT, apply_pages.preview),
    Route(POST, "/apply", EDIT, apply_pages.write),
    Route(POST, "/draft", EDIT, apply_pages.discard),
    Route(GET, "/partner", EDIT, partner_pages.show),
    Route(POST, "/partner", EDIT, partner_pages.write),
    Route(GET, "/history", VIEW, apply_pages.history),
    Route(POST, "/history", EDIT, apply_pages.restore),
    Route(GET, "/metrics", VIEW, api.metrics, "the numbers for Prometheus, as text"),
    Route(GET, "/api/openapi.json", VIEW, api.openapi, "this description"),
    Route(GET, "/api/status", VIEW, api.status, "everything there is, as piranha status --json"),
    Route(GET, "/api/services", VIEW, api.services, "the virtual services, without their servers"),
    Route(GET, "/api/services/{id}", VIEW, api.service, "one virtual service with its servers"),
    Route(
        GET,
        "/api/events",
        VIEW,
        api.events,
        "events after a number; waits for the next one as long as told",
        query=("after", "wait"),
    ),
    Route(GET, "/api/rights", VIEW, api.rights, "what may be done here at all"),
    Route(GET, "/api/config", VIEW, api.config, "lvs.cf with its digest"),
    Route(
        PUT,
        "/api/config",
        EDIT,
        api.write,
        "write lvs.cf and put it in force, or change nothing",
        schema.WRITE,
        large=True,
    ),
    Route(
        POST,
        "/api/config/check",
        VIEW,
        api.check,
        "check a text as lvs.cf",
        schema.CHECK,
        large=True,
    ),
    Route(
        POST,
        "/api/config/preview",
        VIEW,
        api.preview,
        "what a text would change: in words, in the text, in the kernel's table",
        schema.PREVIEW,
        large=True,
    ),
    Route(GET, "/api/partner/config", VIEW, api.partner_config, "the partner's lvs.cf, by ssh"),
    Route(
        PUT,
        "/api/partner/config",
        EDIT,
        api.partner_write,
        "have the partner write its lvs.cf and put it in force, or change nothing",
        schema.WRITE,
        large=True,
    ),
    Route(
        POST,
        "/api/partner/preview",
        VIEW,
        api.partner_preview,
        "what a text would change on the partner",
        schema.PREVIEW,
        large=True,
    ),
    Route(GET, "/api/history", VIEW, api.history, "the changes made by the page, newest first"),
    Route(GET, "/api/history/{number}", VIEW, api.old, "lvs.cf from before a change"),
    Route(GET, "/api/programs", VIEW, api.programs, "programs that directives may name"),
    Route(
        POST,
        "/api/orders",
        OPERATE,
        api.order,
        "drain, maintenance, enable, weight, switchover, reload",
        schema.ORDER,
    ),
    Route(
        POST,
        "/api/checks",
        OPERATE,
        api.check_now,
        "make the check of a real server once, and explain the outcome",
        schema.CHECK_NOW,
    ),
)


def large_paths() -> frozenset[str]:
    """Give the paths whose bodies may hold a whole lvs.cf."""
    return frozenset(route.path for route in ROUTES if route.large)


_ERROR = {"$ref": "#/components/schemas/Error"}
_MEANINGS = {
    "400": "the agent refused it; the sentence says why",
    "401": "no login and no token",
    "403": "the role, or the agent's settings, do not reach for it",
    "404": "there is no such thing",
    "409": "the file is not any more the one with that digest",
    "413": "the body is too large",
    "422": "the request, or the text, has errors",
    "503": "the agent does not answer",
}


def description() -> dict[str, Any]:
    """Describe the JSON interface as OpenAPI 3.1 does."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        if route.summary:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Piranha",
            "version": __version__,
            "description": "One router of a Linux Virtual Server cluster.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {"type": "string", "description": "one sentence"},
                        "code": {"type": "string"},
                        "details": {"type": "object"},
                    },
                }
            },
        },
    }


_NUMBERS: Mapping[str, Mapping[str, Any]] = {
    "after": {"type": "integer", "minimum": 0, "maximum": 2**53},
    "wait": {"type": "integer", "minimum": 0, "maximum": api.LONGEST_POLL},
}


def _parameter(name: str, where: str, described: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": described}


def _operation(route: Route) -> dict[str, Any]:
    kind = "text/plain" if route.path == "/metrics" else "application/json"
    content = {kind: {"schema": {"type": "string" if kind == "text/plain" else "object"}}}
    made: dict[str, Any] = {
        "summary": route.summary,
        "description": f"Needs the role {route.role}.",
        "operationId": route.answer.__name__,
        "responses": {
            "200": {"description": "done", "content": content},
            **{
                code: {
                    "description": meaning,
                    "content": {"application/json": {"schema": _ERROR}},
                }
                for code, meaning in _MEANINGS.items()
            },
        },
    }
    parameters = [
        _parameter(name, "path", {"type": "string"})
        for name in ("id", "number")
        if f"{{{name}}}" in route.path
    ]
    parameters += [_parameter(name, "query", _NUMBERS[name]) for name in route.query]
    if parameters:
        made["parameters"] = parameters
    if route.body:
        body = {"application/json": {"schema": schema.object_schema(route.body)}}
        made["requestBody"] = {"required": True, "content": body}
    return made
