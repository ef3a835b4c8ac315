# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""GLOBAL SETTINGS, REDUNDANCY, VIRTUAL SERVERS and FAILOVER: lists and forms of what lvs.cf says.

What a form says becomes edits of the person's draft; nothing is written here.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from piranha.core.lvs_cf import directives as d
from piranha.core.lvs_cf.config import Virtual
from piranha.core.lvs_cf.document import Block

from . import forms
from .edits import Add, Copy, Delete, Edit, Rename, Set, Where, apply, find, judge, shown
from .forms import Filled, Group
from .site import form_of, link, page, to
from .work import Work, change, look, programs, reading

LISTS = {d.VIRTUAL: "/virtual", d.FAILOVER: "/failover"}
TITLES = {d.VIRTUAL: "VIRTUAL SERVERS", d.FAILOVER: "FAILOVER"}
NEW = {
    d.VIRTUAL: (("active", "0"), ("port", "80"), ("scheduler", "wlc"), ("protocol", "tcp")),
    d.FAILOVER: (("active", "0"),),
    d.SERVER: (("active", "1"), ("weight", "1")),
}
"""What a new block begins with, as on the page of old."""


def where_of(given: Any, kind: str = "") -> Where:
    """Give the block that a query or a form names."""

    def number(name: str) -> int:
        text = str(given.get(name, "1"))
        return int(text) if text.isascii() and text.isdigit() and len(text) < len("10000") else 1

    wanted = kind or str(given.get("kind", ""))
    if wanted not in LISTS:
        return Where()
    return Where(
        wanted,
        str(given.get("name", "")),
        number("nth"),
        str(given.get("server", "")),
        number("server_nth"),
    )


def address_of(where: Where, tab: str = "") -> str:
    """Give the page of a block."""
    if where.kind == d.GLOBAL:
        return "/redundancy" if tab == "redundancy" else "/settings"
    base = f"{LISTS[where.kind]}/edit"
    if where.server:
        return link(
            f"{LISTS[where.kind]}/server",
            name=where.name,
            nth=where.nth,
            server=where.server,
            server_nth=where.server_nth,
        )
    return link(base, name=where.name, nth=where.nth, tab=tab if tab != "service" else "")


def numbered(blocks: list[Block]) -> list[tuple[Block, int]]:
    """Give blocks with the number of each among those of its name."""
    seen: dict[str, int] = {}
    made = []
    for block in blocks:
        seen[block.name] = seen.get(block.name, 0) + 1
        made.append((block, seen[block.name]))
    return made


# -- global settings and redundancy


async def settings(request: Request) -> Response:
    """Show GLOBAL SETTINGS."""
    return await _globals(request, "settings")


async def redundancy(request: Request) -> Response:
    """Show REDUNDANCY."""
    return await _globals(request, "redundancy")


async def _globals(request: Request, tab: str, filled: Filled = forms.NOTHING_FILLED) -> Response:
    work = await look(request)
    groups = await _groups(request, work, Where(), tab, filled)
    title = "GLOBAL SETTINGS" if tab == "settings" else "REDUNDANCY"
    return page(
        request,
        "globals.html",
        422 if filled.faults else 200,
        work=work,
        groups=groups,
        title=title,
        tab=tab,
    )


async def _groups(
    request: Request, work: Work, where: Where, tab: str, filled: Filled
) -> list[Group] | None:
    document = work.loaded.document
    found = find(document, where)
    if found is None:
        return None
    return forms.form(
        where.inner,
        tab,
        found[0],
        findings=forms.findings_of(document, found[0], work.loaded.findings),
        programs=await programs(request),
        filled=filled,
        editable=work.drafting,
    )


async def set_settings(request: Request) -> Response:
    """Take GLOBAL SETTINGS."""
    return await _take(request, Where(), "settings")


async def set_redundancy(request: Request) -> Response:
    """Take REDUNDANCY."""
    return await _take(request, Where(), "redundancy")


async def _take(request: Request, where: Where, tab: str) -> Response:
    """Take the fields of one form into the draft; with mistakes in them it is shown again."""
    form, work = form_of(request), await look(request)
    values = tuple((key, form[key]) for key in forms.settable(where.inner, tab) if key in form)
    edits: list[Edit] = [Set(where, values)]
    named = where
    name = form.get("new_name", "").strip()
    if where.kind != d.GLOBAL and name not in ("", where.server or where.name):
        edits.append(Rename(where, name))
        named = (
            where._replace(server=name, server_nth=1)
            if where.server
            else where._replace(name=name, nth=1)
        )
    faults = dict(_faults(where.inner, values))
    found = find(work.loaded.document, where)
    if found is not None:
        faults |= dict(forms.guard(where.inner, values, found[0], await programs(request)))
    sentences = [] if faults else await change(request, work, edits)
    if faults or sentences:
        if sentences:
            faults["new_name"] = " ".join(sentences)
        filled = Filled(dict(values) | {"new_name": name}, faults)
        return await _shown(request, where, tab, filled)
    return to(address_of(named, tab), request, TAKEN)


TAKEN = "Noted. Nothing is written yet: review and apply the changes when they are complete."


def _faults(kind: str, values: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    rows = d.TABLES[kind].rows
    judged = ((key, judge(rows[key], text)) for key, text in values)
    return [(key, why) for key, why in judged if why is not None]


async def _shown(request: Request, where: Where, tab: str, filled: Filled) -> Response:
    if where.kind == d.GLOBAL:
        return await _globals(request, tab, filled)
    return await _block_page(request, where, tab, filled)


# -- lists of blocks


async def virtual(request: Request) -> Response:
    """Show VIRTUAL SERVERS."""
    return await _list(request, d.VIRTUAL)


async def failover(request: Request) -> Response:
    """Show FAILOVER."""
    return await _list(request, d.FAILOVER)


async def _list(request: Request, kind: str, why: str = "", status: int = 200) -> Response:
    work = await look(request)
    blocks = work.loaded.document.root.blocks(kind)
    meanings: list[Virtual] = [one for what, one in work.loaded.config.blocks() if what == kind]
    lines = [
        {
            "where": Where(kind, block.name, nth),
            "active": meaning.settings.flag("active"),
            "address": _address(meaning),
            "port": meaning.settings["fwmark"] or meaning.settings["port"],
            "mark": bool(meaning.settings["fwmark"]),
            "protocol": meaning.settings["protocol"],
            "servers": len(meaning.servers),
            "scheduler": meaning.settings["scheduler"],
        }
        for (block, nth), meaning in zip(numbered(blocks), meanings, strict=False)
    ]
    return page(
        request,
        "blocks.html",
        status,
        work=work,
        kind=kind,
        title=TITLES[kind],
        lines=lines,
        address_of=address_of,
        why=why,
        service=work.loaded.config.globals["service"],
    )


def _address(block: Virtual) -> str:
    found = block.settings.address("address")
    if found is None:
        return ""
    return found.address + (f" on {found.device}" if found.device else "")


async def change_virtual(request: Request) -> Response:
    """Add, copy, delete, activate or deactivate a virtual server."""
    return await _change_list(request, d.VIRTUAL)


async def change_failover(request: Request) -> Response:
    """Add, copy, delete, activate or deactivate a failover service."""
    return await _change_list(request, d.FAILOVER)


async def _change_list(request: Request, kind: str) -> Response:
    form, work = form_of(request), await look(request)
    where = where_of(form, kind)
    edits, after = list_edits(form, where)
    if not edits:
        return await _list(request, kind, "choose what shall be done", 400)
    faults = await change(request, work, edits)
    if faults:
        return await _list(request, kind, " ".join(faults), 422)
    return to(after, request, TAKEN)


def list_edits(form: dict[str, str], where: Where) -> tuple[list[Edit], str]:
    """Give the edits that a button of a list stands for, and the page to go to then. Pure."""
    action, name = form.get("do", ""), form.get("new_name", "").strip()
    inner = where.inner
    back = LISTS[where.kind]
    if where.server or form.get("in") == "server":
        back = address_of(where._replace(server="", server_nth=1), "servers")
    if action == "add" and form.get("in") == "server":
        made = where._replace(server=name, server_nth=1)
        return [Add(where, d.SERVER, name), Set(made, NEW[d.SERVER])], address_of(made)
    if action == "add":
        made = Where(where.kind, name)
        return [Add(Where(), where.kind, name), Set(made, NEW[where.kind])], address_of(made)
    if action == "copy":
        name = name or f"{where.server or where.name}-copy"
        made = (
            where._replace(server=name, server_nth=1)
            if inner == d.SERVER
            else Where(where.kind, name)
        )
        return [Copy(where, name)], address_of(made)
    if action == "delete":
        return [Delete(where)], back
    if action in ("activate", "deactivate"):
        return [Set(where, (("active", "1" if action == "activate" else "0"),))], back
    return [], back


# -- one block


async def edit_virtual(request: Request) -> Response:
    """Show the form of a virtual server."""
    return await _block(request, d.VIRTUAL)


async def edit_failover(request: Request) -> Response:
    """Show the form of a failover service."""
    return await _block(request, d.FAILOVER)


async def _block(request: Request, kind: str) -> Response:
    where = where_of(request.query_params, kind)
    tab = request.query_params.get("tab", "")
    return await _block_page(request, where, tab, forms.NOTHING_FILLED)


async def _block_page(request: Request, where: Where, tab: str, filled: Filled) -> Response:
    work = await look(request)
    found = find(work.loaded.document, where) if where.name else None
    if found is None:
        text = "There is no such block in lvs.cf, or not any more."
        return page(request, "message.html", 404, title="Not found", text=text)
    block, outer = found
    tabs = forms.PAGES[where.inner]
    kind_tabs = (*tabs, "servers") if where.kind == d.VIRTUAL and not where.server else tabs
    tab = tab if tab in kind_tabs else kind_tabs[0]
    groups = None if tab == "servers" else await _groups(request, work, where, tab, filled)
    about = forms.findings_of(work.loaded.document, block, work.loaded.findings).get("", [])
    return page(
        request,
        "block.html",
        422 if filled.faults else 200,
        work=work,
        where=where,
        outer=outer,
        tab=tab,
        tabs=kind_tabs,
        groups=groups,
        servers=_servers(work, where, block),
        filled=filled,
        about=about,
        list_address=LISTS[where.kind],
        address_of=address_of,
    )


def _servers(work: Work, where: Where, block: Block) -> list[dict[str, Any]]:
    table = d.SERVER_TABLE.rows
    lines = []
    for inner, nth in numbered(block.blocks(d.SERVER)):
        values = {key: _value(inner, key) or str(table[key].default or "") for key in SHOWN}
        lines.append({"where": where._replace(server=inner.name, server_nth=nth), **values})
    return lines


SHOWN = ("address", "port", "weight", "active")


def _value(block: Block, key: str) -> str:
    return shown(block, d.SERVER_TABLE.rows[key])


async def edit_server(request: Request) -> Response:
    """Show the form of a real server."""
    kind = d.FAILOVER if request.url.path.startswith("/failover") else d.VIRTUAL
    return await _block(request, kind)


async def set_virtual(request: Request) -> Response:
    """Take the form of a virtual server, or a button of its list of servers."""
    return await _set_block(request, d.VIRTUAL)


async def set_failover(request: Request) -> Response:
    """Take the form of a failover service."""
    return await _set_block(request, d.FAILOVER)


async def set_server(request: Request) -> Response:
    """Take the form of a real server."""
    kind = d.FAILOVER if request.url.path.startswith("/failover") else d.VIRTUAL
    return await _set_block(request, kind)


async def _set_block(request: Request, kind: str) -> Response:
    form = form_of(request)
    where = where_of(form, kind)
    if "do" not in form or form["do"] == "save":
        tab = form.get("tab", "")
        tabs = forms.PAGES[where.inner]
        return await _take(request, where, tab if tab in tabs else tabs[0])
    work = await look(request)
    edits, after = list_edits(form, where)
    faults = await change(request, work, edits) if edits else ["choose what shall be done"]
    if faults:
        around = where._replace(server="", server_nth=1)
        filled = Filled({}, {"new_name": " ".join(faults)})
        return await _block_page(request, around, "servers", filled)
    return to(after, request, TAKEN)


# -- findings while somebody types


async def findings(request: Request) -> Response:
    """Say what is to be said about a form as it is now: by field, and of the block."""
    form, work = form_of(request), await look(request)
    where = where_of(form)
    tab = form.get("tab", "")
    tab = tab if tab in forms.PAGES[where.inner] else forms.PAGES[where.inner][0]
    values = tuple((key, form[key]) for key in forms.settable(where.inner, tab) if key in form)
    return JSONResponse(judged(work.text, where, values))


def judged(
    text: str, where: Where, values: tuple[tuple[str, str], ...]
) -> dict[str, list[list[str]]]:
    """Give severity and sentence for each field that has something; '' is the block itself."""
    found = {key: [["error", why]] for key, why in _faults(where.inner, values)}
    readable = tuple(one for one in values if one[0] not in found)
    after, _unused = apply(text, [Set(where, readable)])
    loaded = reading(after)
    place = find(loaded.document, where)
    if place is None:
        return found
    for key, told in forms.findings_of(loaded.document, place[0], loaded.findings).items():
        if key not in found:
            found[key] = [[one.severity, one.sentence()] for one in told]
    return found
