# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor: serves the web page on a socket of its own, between it and pulse.

A process of its own, so that pulse and heart never meet the page: what the page asks, however
often and however large, costs this process, and pulse sees one more client of its control socket.
If it is killed, the page shows nothing, and that is all. What may be asked is decided in
asking.py, what may be written in guard.py and desk.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import pwd
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from piranha.control import metrics
from piranha.control.client import Client, Refused, Unreachable
from piranha.control.protocol import Encoded, Request, RequestError
from piranha.control.server import ControlServer, Handler, Manners, Refusal
from piranha.gui import protocol
from piranha.gui.protocol import Actor, plain
from piranha.pulse.journal import Log, Notify, say
from piranha.pulse.names import CONFIG_IN_FORCE
from piranha.pulse.names import SOCKET as CONTROL_SOCKET

from . import asking, checking, partner
from .desk import Denied, Desk, Places
from .drafts import Drafts, TooLarge
from .feed import Feed
from .settings import Settings, SettingsError, load

FRESH, STALE = 1.0, 10.0
"""Seconds for which one reading of the status serves everybody: at least, and at most."""

REST = 5.0
"""How many times as long as it took a reading serves: of a huge table it costs lvsd half a second,
which is not to be spent every second on those who look on."""

AT_ONCE = 100
"""Requests under way; the page has one connection for all who look on."""

CHECKS_AT_ONCE = 4
DRAFTS = "drafts"
"""Folder within that of the history."""

PROBLEM = 1
_T = TypeVar("_T")


@dataclass(frozen=True)
class House:
    """Where the editor finds what it needs. page_uid: the user of the page; root may ask too.

    trusted: user ids that may own a program which is run.
    """

    run_dir: Path
    config: Path
    settings: Path
    history: Path
    page_uid: int | None
    trusted: frozenset[int] = frozenset({0})


class Editor:
    """The answers to all requests of protocol.REQUESTS."""

    def __init__(self, house: House, desk: Desk, log: Log) -> None:
        self._house, self._desk, self._log = house, desk, log
        self._control = house.run_dir / CONTROL_SOCKET
        self._status: tuple[float, _Read] | None = None  # until when it serves
        self._failed: tuple[float, Exception] | None = None
        self._looking = asyncio.Lock()
        self._working = asyncio.Lock()
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._drafts = Drafts(house.history / DRAFTS)
        self.feed = Feed(self._control)

    def handlers(self) -> dict[str, Handler]:
        """Give them by the name of the request; each takes rights and ceiling into account."""
        return {
            do: functools.partial(self._answer, work)
            for do, work in {
                "status": self._give_status,
                "events": self._events,
                "metrics": self._metrics,
                "config": self._config,
                "preview": self._preview,
                "history": self._history,
                "old": self._old,
                "programs": self._programs,
                "check_now": self._check_now,
                "order": self._order,
                "write": self._write,
                "keep": self._keep,
                "kept": self._kept,
                "rights": self._rights,
                "partner": self._partner,
                "login": self._login,
            }.items()
        }

    async def _answer(
        self, work: Callable[[_Asked], Awaitable[dict[str, Any]]], request: Request
    ) -> dict[str, Any]:
        try:
            settings = load(self._house.settings)
            actor = asking.actor_of(request.arguments)
            why_not = asking.why_not(actor, settings.ceiling, request.do)
            if why_not is not None:
                self._tell("warning", actor, f"was refused: {why_not}")
                raise Denied(protocol.FORBIDDEN, why_not)
            return await work(_Asked(request.arguments, actor, settings))
        except Denied as why:
            raise Refusal(str(why), code=why.code, details=why.details) from None
        except RequestError as why:
            raise Refusal(str(why), code=protocol.INVALID) from None
        except SettingsError as why:
            raise Refusal(str(why), code=protocol.UNAVAILABLE) from None
        except Unreachable as why:
            raise Refusal(str(why), code=protocol.UNAVAILABLE) from None
        except Refused as why:
            raise Refusal(str(why), code=protocol.REFUSED) from None

    async def warm(self) -> None:
        """Make ready for who edits, where anybody may."""
        settings = load(self._house.settings)
        if settings.ceiling == protocol.EDIT:
            await self._work(self._desk.warm, settings)

    # -- looking --------------------------------------------------------------------------------

    async def _give_status(self, _asked: _Asked) -> dict[str, Any]:
        return (await self._read()).told

    async def _read(self) -> _Read:
        clock = asyncio.get_running_loop().time
        async with self._looking:
            began = clock()
            if self._failed is not None and began < self._failed[0]:
                raise self._failed[1]  # a pulse that hangs is waited for by one, not by each
            if self._status is None or began > self._status[0]:
                try:
                    read = await asyncio.to_thread(status, self._control)
                except (Unreachable, Refused) as why:
                    self._failed = (clock() + FRESH, why)
                    raise
                rest = min(STALE, max(FRESH, REST * (clock() - began)))
                self._status = (clock() + rest, read)
            return self._status[1]

    async def _events(self, asked: _Asked) -> dict[str, Any]:
        after = asking.number(asked.arguments, "after", 0)
        return await self.feed.after(after, asking.wait(asked.arguments))

    async def _metrics(self, _asked: _Asked) -> dict[str, Any]:
        try:
            found: dict[str, Any] | None = (await self._read()).status
        except (Unreachable, Refused):
            found = None
        return {"text": metrics.render(found)}

    async def _config(self, _asked: _Asked) -> dict[str, Any]:
        return plain(await asyncio.to_thread(self._desk.state))

    async def _rights(self, asked: _Asked) -> dict[str, Any]:
        return plain(await asyncio.to_thread(self._desk.rights, asked.settings))

    async def _preview(self, asked: _Asked) -> dict[str, Any]:
        base, text = asking.text(asked.arguments, "digest"), asking.text(asked.arguments, "text")
        return plain(await self._work(self._desk.preview, asked.settings, base, text))

    async def _history(self, _asked: _Asked) -> dict[str, Any]:
        entries = await asyncio.to_thread(self._desk.history)
        return {"entries": [plain(one) for one in entries]}

    async def _old(self, asked: _Asked) -> dict[str, Any]:
        number = asking.number(asked.arguments, "number")
        return {"text": await asyncio.to_thread(self._desk.old, number)}

    async def _programs(self, asked: _Asked) -> dict[str, Any]:
        found = await asyncio.to_thread(self._desk.programs, asked.settings)
        return {"folder": asked.settings.scripts, "programs": [plain(one) for one in found]}

    async def _login(self, asked: _Asked) -> dict[str, Any]:
        event = asked.arguments.get("event")
        words = {
            "in": "logged in",
            "out": "logged out",
            "failed": "could not log in",
            "locked": "was locked out after too many attempts",
        }
        if event not in words:
            raise RequestError(f'"event" must be one of {", ".join(words)}')
        where = asking.line(asked.arguments, "address", asking.LONGEST_NAME)
        level = "notice" if event in ("in", "out") else "warning"
        self._tell(level, asked.actor, f"{words[event]}{f' from {where}' if where else ''}")
        return {}

    # -- doing ----------------------------------------------------------------------------------

    async def _check_now(self, asked: _Asked) -> dict[str, Any]:
        """Make one check by what lvs.cf has; nothing else is run."""
        virtual = asking.line(asked.arguments, "virtual", asking.LONGEST_NAME)
        server = asking.line(asked.arguments, "server", asking.LONGEST_NAME)
        name = f"{virtual}/{server}" if server else virtual
        if not name or name.startswith("-"):
            raise RequestError('"virtual" and "server" must name a real server')
        try:
            async with self._checks:
                found = await checking.by_hand(self._house.config, name)
                if found.verdict == checking.UNCHECKED and server:
                    with contextlib.suppress(Refused, Unreachable):
                        found = await checking.by_lvsd(self._ask, virtual, server, found)
        except TimeoutError:
            sentence = f"the check did not end within {checking.LIMIT:.0f} s"
            raise Denied(protocol.REFUSED, sentence) from None
        self._tell("info", asked.actor, f"checked {name}")
        return plain(found)

    async def _order(self, asked: _Asked) -> dict[str, Any]:
        order = asking.order(asked.arguments)
        why = asking.line(asked.arguments, "why")
        if order in ("switchover", "reload"):
            result = await self._ask(order)
            self._tell("notice", asked.actor, f"ordered: {order}{_because(why)}")
            warnings = result.get("warnings", [])
            return {"words": [f"{order} is done"], "warnings": warnings}
        from piranha.override_cli import lines

        wanted = asking.override(asked.arguments, asked.actor)
        answer = await self._ask("override", **wanted)
        words = lines(answer, dry_run=False)
        self._tell("notice", asked.actor, f"ordered: {'; '.join(words)}{_because(why)}")
        self._status = None
        return {"words": words, "warnings": list(answer.get("warnings", ()))}

    async def _write(self, asked: _Asked) -> dict[str, Any]:
        base, text = asking.text(asked.arguments, "digest"), asking.text(asked.arguments, "text")
        why = asking.line(asked.arguments, "why")
        try:
            done = await self._work(self._desk.write, asked.settings, asked.actor, base, text, why)
        except Denied as refusal:
            self._tell("warning", asked.actor, f"could not change lvs.cf: {refusal}")
            raise
        self._status = None
        sentence = f"changed lvs.cf (serial_no {done.serial}, history {done.backup}){_because(why)}"
        self._tell("notice", asked.actor, sentence)
        return plain(done)

    async def _keep(self, asked: _Asked) -> dict[str, Any]:
        draft = asking.text(asked.arguments, "draft")
        try:
            await asyncio.to_thread(self._drafts.put, asked.actor.user, draft)
        except (TooLarge, OSError, ValueError) as why:
            raise Denied(protocol.REFUSED, f"the draft is not kept: {why}") from None
        return {}

    async def _kept(self, asked: _Asked) -> dict[str, Any]:
        return {"draft": await asyncio.to_thread(self._drafts.get, asked.actor.user)}

    async def _partner(self, asked: _Asked) -> dict[str, Any]:
        """Have the other router's editor answer; who may ask that is judged here and there."""
        inner = asked.arguments.get("ask")
        do = inner.get("do") if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or do not in partner.ASKABLE:
            raise RequestError(f'"ask" must be one of {", ".join(partner.ASKABLE)}')
        why_not = asking.why_not(asked.actor, asked.settings.ceiling, do)
        if why_not is not None:
            raise Denied(protocol.FORBIDDEN, why_not)
        config = await asyncio.to_thread(self._desk.config)
        try:
            argv = partner.command(config, (await self._read()).status)
            actor = Actor(asked.actor.user, asking.role_here(asked.actor, asked.settings.ceiling))
            told = await partner.ask(argv, partner.request(inner, actor), self._house.trusted)
        except partner.NotSetUp as why:
            raise Denied(protocol.REFUSED, str(why)) from None
        except partner.OutOfReach as why:
            raise Denied(protocol.UNAVAILABLE, str(why)) from None
        if do in ("write", "order"):
            words = "done" if told.get("ok") else f"refused: {told.get('error')}"
            self._tell("notice", asked.actor, f"asked the partner to {do}: {words}"[:500])
        if told.get("ok") is not True:
            details = told.get("details")
            code = told.get("code") if told.get("code") in protocol.CODES else protocol.REFUSED
            raise Denied(
                str(code),
                f"the partner: {told.get('error', 'refused without a reason')}",
                details if isinstance(details, dict) else {},
            )
        result = told.get("result")
        return result if isinstance(result, dict) else {}

    # -- means ----------------------------------------------------------------------------------

    async def _work(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Do what takes long, one at a time, beside what only looks."""
        async with self._working:
            return await asyncio.to_thread(function, *arguments)

    async def _ask(self, do: str, **arguments: object) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self._control, do, arguments)

    def _tell(self, level: str, actor: Actor, words: str) -> None:
        """Write an audit line, and show it among the events."""
        text = f"page: {actor.user} ({actor.role}) {words}"
        self._log.write(level, text)
        self.feed.add({"from": "page", "level": level, "text": text, "user": actor.user})


@dataclass(frozen=True)
class _Asked:
    """A request that its asker may make."""

    arguments: dict[str, Any]
    actor: Actor
    settings: Settings


@dataclass(frozen=True)
class _Read:
    """One reading of the status. told: the same for a socket, with what is large in JSON already:
    it goes to everybody who asks."""

    status: dict[str, Any]
    told: dict[str, Any]


def status(socket: Path) -> _Read:
    """Read the status; Refused, Unreachable. Blocks."""
    found = ask(socket, "status", {})
    lvsd: dict[str, Any] = found.get("lvsd") or {}
    virtual = lvsd.get("virtual")
    if not isinstance(virtual, list):
        return _Read(found, found)
    text = json.dumps(virtual, separators=(",", ":"))[1:-1]
    return _Read(found, {**found, "lvsd": {**lvsd, "virtual": Encoded([text])}})


def ask(socket: Path, do: str, arguments: dict[str, object]) -> dict[str, Any]:
    """Ask pulse; Refused, Unreachable. Blocks."""
    with Client(socket) as client:
        return client.ask(do, **arguments)


def _because(why: str) -> str:
    return f" because: {why}" if why else ""


def manners(page_uid: int | None) -> Manners:
    """Who may connect: root, and the page's own user, as the kernel says who it is."""

    def welcome(uid: int) -> str | None:
        if uid in (0, page_uid):
            return None
        return f"user {uid} may not ask the editor; this socket is for the user piranha-gui"

    return Manners(
        parse=asking.parse,
        permit=lambda _request, _own: None,  # handlers judge, by role and ceiling
        welcome=welcome,
        largest=protocol.MAX_REQUEST,
        at_once=AT_ONCE,
        streams=False,
    )


async def serve(house: House, socket: Path, log: Log, notify: Notify) -> None:
    """Serve until TERM or INT."""
    places = Places(house.config, house.run_dir / CONFIG_IN_FORCE, house.history)

    def reload() -> list[str]:
        answer = ask(house.run_dir / CONTROL_SOCKET, "reload", {})
        return [str(one) for one in answer.get("warnings", ())]

    editor = Editor(house, Desk(places, reload), log)
    server = ControlServer(socket, editor.handlers(), manners(house.page_uid))
    await server.start()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    listening = loop.create_task(editor.feed.listen())
    notify.send(READY=1)
    log.write("info", f"editor of the page: ready at {socket}")
    warming = loop.create_task(editor.warm())
    await ended.wait()
    server.stop()
    for task in (listening, warming):
        task.cancel()
    await asyncio.gather(listening, warming, return_exceptions=True)


def run(config: Path, run_dir: Path, settings: Path, history: Path) -> int:
    """Run the editor; gives the exit status."""
    try:
        page_uid: int | None = pwd.getpwnam(protocol.PAGE_USER).pw_uid
    except KeyError:
        page_uid = None
    try:
        load(settings)
        history.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (SettingsError, OSError) as why:
        say(f"piranha: {why}")
        return PROBLEM
    house = House(run_dir, config, settings, history, page_uid)
    asyncio.run(serve(house, run_dir / Path(protocol.SOCKET).name, Log(), Notify()))
    return 0
