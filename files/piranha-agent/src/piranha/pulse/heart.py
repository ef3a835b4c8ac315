# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heart: a small loop around the engine. Heartbeats, addresses, announcements, nothing else.

It runs in a child of pulse, forked and not executed. It waits for nothing but its own poll: log
lines go to pulse as messages that are dropped rather than waited for, its memory is locked and
it runs with real-time priority where that is allowed. What to do when is engine.py's matter.
"""

from __future__ import annotations

import functools
import gc
import os
import select
import socket
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from piranha.control.link import Link
from piranha.core.lvs_cf import api
from piranha.net.addresses import Addresses, VirtualAddress
from piranha.net.announce import Announcer
from piranha.net.rtnetlink import Netlink

from . import ledger, report
from .arrival import Arrival
from .engine import Deed, Effect, Engine
from .heart_settings import HeartSettings, SettingsError, extract
from .keys import KeyFileError, read_keys
from .parting import Parting
from .pathways import Pathways
from .priority import raise_priority
from .wire import SESSION_SIZE, Key

OK, FAILED, CANNOT_RUN = 0, 1, 78
TELL = 1.0
"""Seconds between two snapshots of the state when nothing changes."""
MEND = 5.0
"""Seconds between two attempts to set addresses that could not be set."""
GOODBYE_GAP = 0.003
"""Seconds after each goodbye, so that one short burst of loss does not take all."""


class CannotRun(Exception):
    """The heart cannot start, or not take a new configuration; the text is one sentence."""


def clock() -> float:
    """Seconds, counted on while the machine sleeps: a pause of any kind is to be noticed."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.lru_cache(maxsize=1)
def load(text: str) -> api.Loaded:
    """Read a configuration's text, once.

    pulse may call it before it forks (and with the new text on a reload), so that a heart that
    is started again finds it done: in a virtual machine that saves a tenth of a second, most of
    it in page faults.
    """
    return api.load(text, "lvs.cf")


def read_settings(config_path: Path, addresses: Addresses) -> tuple[HeartSettings, tuple[Key, ...]]:
    """Read the configuration and the key; CannotRun says what is wrong with them."""
    try:
        text = api.decode(config_path.read_bytes())
    except OSError as error:
        raise CannotRun(f"{config_path}: {error.strerror}") from None
    loaded = load(text)
    if loaded.errors:
        raise CannotRun("; ".join(found.format(str(config_path)) for found in loaded.errors))
    try:
        settings = extract(loaded.config, addresses.own())
        keys = read_keys(settings.key_file) if settings.timing.partnered else ()
    except SettingsError as error:
        raise CannotRun(f"{config_path}: {error}") from None
    except KeyFileError as error:
        raise CannotRun(str(error)) from None
    return settings, keys


class Heart:
    """One life of the heart."""

    def __init__(self, link: Link, config_path: Path, run_dir: Path) -> None:
        self._link = link
        self._config_path, self._run_dir = config_path, run_dir
        self._addresses = Addresses(Netlink())
        self._settings, keys = read_settings(config_path, self._addresses)
        self._paths = self._open(self._settings)
        try:
            self._announcer: Announcer | None = Announcer()
        except PermissionError:
            self._announcer = None
        now = clock()
        self._engine = Engine(
            # A lone primary sends nothing; its conversation still wants a key to hold.
            keys or (Key.of(os.urandom(32)),),
            self._settings.timing,
            self._settings.digest,
            lambda: os.urandom(SESSION_SIZE),
            now,
        )
        self._arrival = Arrival(self._settings.services)
        self._parting: Parting | None = None
        self._sessions: tuple[bytes, ...] = ()
        self._address_problems: list[str] = []
        self._told: dict[str, Any] = {}
        self._told_at = self._ticked_at = self._mended_at = 0.0
        self._begun = now
        self._reason = ""
        self._ending = False
        self._linked = not self._settings.routes
        self._poll = select.poll()

    # -- life ---------------------------------------------------------------------------------

    def live(self) -> int:
        """Run until asked to stop, or until pulse has gone."""
        self._log("info", raise_priority())
        if self._announcer is None:
            self._log("err", "announcements are not allowed; pulse needs CAP_NET_RAW")
        self._watch()
        now = clock()
        before = ledger.read_session(self._run_dir)
        self._sessions = before.sessions if before else ()
        self._note_session()
        self._carry(self._engine.start(now, self._adopt()), now)
        self._arrival.clear()
        while not self._ending:
            self._turn()
        return OK

    def _watch(self) -> None:
        self._poll = select.poll()
        self._poll.register(self._link, select.POLLIN)
        for path in self._paths.sockets:
            self._poll.register(path, select.POLLIN)

    def _turn(self) -> None:
        """Wait, then: see how long we were away, read all that waits, see what is due."""
        due = self._engine.next_at()
        if self._announcer is not None and (announce := self._announcer.next_at()) is not None:
            due = min(due, announce)
        if (arrival := self._arrival.next_at()) is not None:
            due = min(due, arrival)
        # Rounded up: waking a moment early would cost a second turn.
        wait = max(0, min(int((due - clock()) * 1000) + 1, 1000))
        ready = {number for number, _unused in self._poll.poll(wait)}
        now = clock()
        self._carry(self._engine.woke(now), now)
        if not self._linked:
            self._await_link(now)
        for data in self._paths.receive(ready):
            self._carry(self._engine.received(data, now), now)
        self._carry(self._engine.tick(now), now)
        if (taken := self._arrival.step(now)) is not None:
            self._carry(self._engine.take(taken, now), now)
        self._log("notice", self._arrival.news())
        if self._announcer is not None and (problem := self._announcer.step(now)):
            self._log("warning", problem)
        self._tick(now)
        if self._link.fileno() in ready:
            self._hear(now)

    def _await_link(self, now: float) -> None:
        """After the start, silence is no news before a cable carries anything."""
        own = frozenset(ip_address(route.own) for route in self._settings.routes)
        self._linked = self._addresses.linked(own)
        if not self._linked:
            self._engine.machine.unlinked(now)

    def _tick(self, now: float) -> None:
        timing = self._settings.timing
        # The engine wakes us at least every deadtime / 8; more than twice as often is a waste.
        if now - self._ticked_at >= min(timing.keepalive, timing.deadtime / 8) / 2:
            self._ticked_at = now
            self._link.send({"tick": time.monotonic()})
        if self._address_problems and now - self._mended_at >= MEND and self._engine.holding:
            self._acquire(now)
        if now - self._told_at >= TELL:
            self._tell(now)

    # -- effects ------------------------------------------------------------------------------

    def _carry(self, effects: list[Effect], now: float) -> None:
        changed = False
        for effect in effects:
            match effect.deed:
                case Deed.SEND:
                    self._paths.send(effect.data)
                case Deed.ACQUIRE:
                    if not self._acquire(now):
                        break  # what follows was meant for an owner
                case Deed.RELEASE:
                    self._release()
                case Deed.ANNOUNCE:
                    self._announce(now)
                case Deed.LOOK:
                    if self._addresses.missing(self._settings.addresses):
                        self._carry(self._engine.lost(now), now)
                case Deed.SESSION:
                    self._note_session()
                case Deed.HAND_OVER:
                    self._hand_over()
                case Deed.TAKE:
                    self._log("warning", self._arrival.take(effect.data, effect.sequence, now))
                case Deed.GOODBYE:
                    self._paths.send(self._engine.goodbye(clock()))
                    time.sleep(GOODBYE_GAP)
                case Deed.LOG:
                    self._reason, _unused, _unused = effect.text.partition(": ")
                    self._log(effect.level, effect.text)
                    changed = True
        if changed:
            self._tell(now)

    def _acquire(self, now: float) -> bool:
        wanted = self._settings.addresses
        self._mended_at = now
        self._note_addresses(hold=True)
        try:
            problems = self._addresses.acquire(wanted)
            failed = bool(problems) and len(self._addresses.missing(wanted)) == len(wanted)
        except OSError as error:
            problems, failed = [f"the addresses could not be set: {error.strerror}"], True
        for problem in problems:
            if problem not in self._address_problems:
                self._log("err", problem)
        mended = bool(self._address_problems) and not problems
        self._address_problems = problems
        if failed:
            self._carry(self._engine.failed(now), now)
        elif mended:
            self._announce(now)
        return not failed

    def _release(self) -> None:
        if self._announcer is not None:
            self._announcer.cancel()
        self._note_addresses(hold=False)
        try:
            problems = self._addresses.release(self._settings.addresses)
        except OSError as error:
            problems = [f"the addresses could not be removed: {error.strerror}"]
        for problem in problems:
            self._log("crit", problem)
        self._address_problems = problems

    def _announce(self, now: float) -> None:
        if self._announcer is None:
            return
        self._announcer.begin(self._addresses.devices(self._settings.addresses), now)
        if problem := self._announcer.step(now):
            self._log("warning", problem)

    def _adopt(self) -> bool:
        """See what the kernel holds; True where the addresses are there and ours to hold.

        What an earlier heart has set and is no longer wanted goes; so does a part that nobody
        was to hold, as a crash in the middle of letting go leaves it.
        """
        wanted = self._settings.addresses
        listed = ledger.read_addresses(self._run_dir)
        missing = self._addresses.missing(wanted)
        held = [entry for entry in wanted if entry not in missing]
        ours = bool(held) and (listed.hold if listed.found else not missing)
        stale = [entry for entry in listed.addresses if entry not in wanted]
        for problem in self._addresses.release(stale if ours else [*stale, *held]):
            self._log("err", problem)
        if ours:
            self._log("notice", f"adopts the virtual addresses: {_names(held)}")
            if missing or stale:
                self._note_addresses(hold=True)
                self._address_problems = self._addresses.acquire(missing)
            elif not listed.found:
                self._note_addresses(hold=True)
        return ours

    # -- files --------------------------------------------------------------------------------

    def _note_addresses(self, hold: bool) -> None:
        try:
            ledger.write_addresses(self._run_dir, self._settings.addresses, hold)
        except OSError as error:
            path = self._run_dir / ledger.ADDRESSES
            self._log("err", f"{path}: cannot be written ({error.strerror}); see what fills it")

    def _note_session(self) -> None:
        session = self._engine.conversation.session
        earlier = tuple(entry for entry in self._sessions if entry != session)
        self._sessions = (session, *earlier)[: ledger.SESSIONS_KEPT]
        speaker = ledger.Spokesman(
            sessions=self._sessions,
            role=self._settings.role,
            routes=self._settings.routes,
            port=self._settings.port,
            key_file=self._settings.key_file,
            digest=self._settings.digest,
        )
        try:
            ledger.write_session(self._run_dir, speaker)
        except OSError as error:
            path = self._run_dir / ledger.SESSION
            self._log("err", f"{path}: cannot be written ({error.strerror}); see what fills it")

    # -- pulse --------------------------------------------------------------------------------

    def _log(self, level: str, text: str) -> None:
        if text:
            self._link.send({"event": {"level": level, "text": text}})

    def _tell(self, now: float) -> None:
        self._told_at = now
        waiting = now - self._begun < self._settings.timing.deadtime * 2
        state = report.snapshot(
            self._engine, self._settings, self._address_problems, self._reason, now
        )
        state["problems"] += self._paths.problems()
        if waiting:  # until then silence is no news
            state["problems"] = [*self._address_problems]
        for problem in state["problems"]:
            if problem not in [*self._told.get("problems", ()), *self._address_problems]:
                self._log("warning", problem)
        self._told = state
        self._link.send({"state": state})

    def _hear(self, now: float) -> None:
        for message in self._link.receive():
            match message.get("do"):
                case "stop":
                    self._stop(now)
                    self._link.send({"answer": message.get("ask"), "ok": True, "result": {}})
                case "reload":
                    self._link.send(self._reload(message.get("ask"), now))
                case other:
                    error = f"the heart does not know {other!r}"
                    self._link.send({"answer": message.get("ask"), "ok": False, "error": error})
        if self._link.closed and not self._ending:
            self._stop(now)

    def _stop(self, now: float) -> None:
        """Hand over and let go, then say goodbye, a few times over."""
        self._ending = True
        self._carry(self._engine.stop(now), now)
        if self._parting is not None:
            self._log(*self._parting.told())
        self._arrival.end()
        ledger.forget(self._run_dir)

    def _hand_over(self) -> None:
        if self._parting is None:
            services = self._settings.services
            self._parting = Parting(self._engine, self._paths, services, clock)
        self._parting.hand_over()

    def _reload(self, ask: object, now: float) -> dict[str, Any]:
        """Take a new configuration, or leave everything as it is and say why."""
        try:
            settings, keys = read_settings(self._config_path, self._addresses)
            paths = self._open(settings, self._paths)
        except CannotRun as error:
            return {"answer": ask, "ok": False, "error": str(error)}
        before, self._settings = self._settings, settings
        self._paths = paths
        self._arrival.services = settings.services
        self._watch()
        self._exchange(before.addresses, now)
        keys = keys or self._engine.conversation.keys
        self._carry(self._engine.reload(keys, settings.timing, settings.digest, now), now)
        self._note_session()
        self._tell(now)
        return {"answer": ask, "ok": True, "result": {}}

    def _exchange(self, before: tuple[VirtualAddress, ...], now: float) -> None:
        """Remove addresses that have gone from the configuration, set those that have come."""
        wanted = self._settings.addresses
        if not self._engine.holding or before == wanted:
            return
        gone = [entry for entry in before if entry not in wanted]
        for problem in self._addresses.release(gone):
            self._log("err", problem)
        self._acquire(now)
        self._announce(now)

    def _open(self, settings: HeartSettings, old: Pathways | None = None) -> Pathways:
        try:
            return Pathways.opened(settings.routes, settings.port, old)
        except OSError as error:
            raise CannotRun(
                f"heartbeats cannot be received: {error.strerror} ({error.filename});"
                f" see which program uses the port, or correct heartbeat_port in lvs.cf"
            ) from None


def run(sock: socket.socket, config_path: Path, run_dir: Path) -> int:
    """Be the heart until asked to stop. Gives the exit status.

    sock: our end of the socket pair with pulse. 78: cannot run with this configuration.
    """
    link = Link(sock)
    try:
        heart = Heart(link, config_path, run_dir)
    except CannotRun as error:
        link.send({"event": {"level": "crit", "text": str(error)}})
        return CANNOT_RUN
    gc.freeze()
    return heart.live()


def _names(addresses: list[VirtualAddress]) -> str:
    return ", ".join(entry.address for entry in addresses)
