# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk at which lvs.cf is changed for the web page: compare, judge, write, reload, or put back.

One change at a time, under the lock of the folder that Ansible's modules take too. Blocking; the
editor calls it in a thread. It knows no socket: what makes pulse reload is handed in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from piranha import files
from piranha.config import formatting
from piranha.control.client import Refused, Unreachable
from piranha.core.lvs_cf.api import decode, encode, load
from piranha.core.lvs_cf.compare import differences
from piranha.core.lvs_cf.config import Config
from piranha.core.lvs_cf.document import parse
from piranha.gui import protocol
from piranha.gui.protocol import Actor, Entry, FileState, Preview, Program, Rights, Written

from . import guard, scripts
from .history import DIFFERENCES, History, NoEntry
from .preview import Grounds, Memory, change, digest_of
from .preview import preview as looked_ahead
from .settings import Settings

MAX_FILE = 8 * 1024 * 1024
LOCK_SECONDS = 20.0
LOCK_PAUSE = 0.05
NAMES = "names.json"

Reload = Callable[[], list[str]]
"""Has pulse read lvs.cf again and gives its warnings; Refused, or Unreachable where none runs."""


class Denied(Exception):
    """What was asked is not done. code: of protocol.CODES; the text is one sentence."""

    def __init__(self, code: str, sentence: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.code, self.details = code, dict(details or {})


@dataclass(frozen=True)
class Places:
    """Where things are. trusted: user ids that may own programs to choose from."""

    config: Path
    in_force: Path
    history: Path
    trusted: frozenset[int] = scripts.ROOT


class Desk:
    """See above. settings: read anew for each request by whoever calls.

    One `preview` or `write` at a time: both use what the last ones have read.
    """

    def __init__(
        self, places: Places, reload: Reload, clock: Callable[[], float] = time.time
    ) -> None:
        self._places, self._reload, self._clock = places, reload, clock
        self._history = History(places.history)
        self._memory = Memory()

    def state(self) -> FileState:
        """Say what the file is now."""
        text = self._text()
        return FileState(
            text=text,
            digest=digest_of(text),
            serial=_serial(text),
            managed_by_ansible=guard.managed_by_ansible(text),
            in_force=self._in_force(text),
            path=str(self._places.config),
        )

    def config(self) -> Config:
        """Read what the file means."""
        return load(self._text()).config

    def rights(self, settings: Settings) -> Rights:
        """Say what the page may do here."""
        managed = guard.managed_by_ansible(self._text())
        why_not = _why_not_edit(settings, managed=managed)
        return Rights(
            settings.ceiling, not why_not, why_not, managed, settings.cluster, settings.playbook
        )

    def preview(self, settings: Settings, base: str, text: str) -> Preview:
        """Say what a text would mean. base: digest of the file that it was made from."""
        self._bounded(text)
        now = self._text()
        conflict = digest_of(now) != base
        grounds = self._grounds(settings)
        return looked_ahead(now, text, grounds, conflict=conflict, memory=self._memory)

    def warm(self, settings: Settings) -> None:
        """Read the file before somebody waits for it; of a large one the first time takes long."""
        with contextlib.suppress(Denied):
            now = self._text()
            self.preview(settings, digest_of(now), now)

    def programs(self, settings: Settings) -> list[Program]:
        """Give the files of the folder to choose from."""
        return scripts.offered(Path(settings.scripts), self._places.trusted)

    def history(self) -> list[Entry]:
        """Give all entries, the newest first."""
        return self._history.entries()

    def old(self, number: int) -> str:
        """Give the text before a change."""
        try:
            return self._history.text_before(number)
        except NoEntry as why:
            raise Denied(protocol.UNKNOWN, str(why)) from None

    def write(self, settings: Settings, actor: Actor, base: str, text: str, why: str) -> Written:
        """Put a text in the place of the file and in force, or change nothing; Denied."""
        self._bounded(text)
        with self._locked():
            now = self._text()
            why_not = _why_not_edit(settings, managed=guard.managed_by_ansible(now))
            if why_not:
                raise Denied(protocol.FORBIDDEN, why_not)
            if digest_of(now) != base:
                raise self._conflict(now)
            self._bounded(now)
            if now == text:
                raise Denied(protocol.REFUSED, "the text is what the file has; nothing to write")
            # A text that is ahead keeps its number: it is the partner's, and both are to be alike.
            serial = max(_serial(now) + 1, _serial(text))
            text = with_serial(text, serial)
            differs = self._judged(settings, now, text)
            entry = Entry(
                number=self._history.next_number(),
                at=self._clock(),
                user=actor.user,
                role=actor.role,
                why=why,
                before=digest_of(now),
                after=digest_of(text),
                outcome="begun",
                note="",
                difference=differs[:DIFFERENCES],
            )
            try:
                self._history.add(entry, now)
            except OSError as problem:
                raise Denied(
                    protocol.REFUSED,
                    f"cannot keep the history in {self._places.history}: {_reason(problem)};"
                    " nothing was changed",
                ) from None
            return self._put_in_force(entry, now, text, serial)

    # -- the steps of a change ------------------------------------------------------------------

    def _judged(self, settings: Settings, now: str, text: str) -> list[str]:
        """Give the difference in words, or Denied where the text may not be written."""
        read = self._memory.reader.load
        old, new = read(now), read(text, self._places.config.name)
        if new.errors:
            found = [one._asdict() for one in new.findings]
            sentence = f"the text has errors, so nothing was written: {new.errors[0].format()}"
            raise Denied(protocol.INVALID, sentence, {"findings": found})
        grounds = self._grounds(settings)
        refused = guard.refusals(old.config, new.config, grounds.choice, grounds.scripts)
        if refused:
            raise Denied(protocol.REFUSED, "; ".join(refused), {"refused": refused})
        if guard.managed_by_ansible(now) and not guard.managed_by_ansible(text):
            raise Denied(
                protocol.REFUSED,
                "the comment that says that Ansible writes the file must stay; remove it by hand",
            )
        return [change(one).words for one in differences(old.config, new.config)]

    def _put_in_force(self, entry: Entry, now: str, text: str, serial: int) -> Written:
        try:
            self._replace(text)
        except OSError as problem:
            self._note(replace(entry, outcome="taken back", note=_reason(problem)))
            raise Denied(
                protocol.REFUSED,
                f"cannot write {self._places.config}: {_reason(problem)}; nothing was changed",
            ) from None
        warnings: list[str] = []
        note, outcome = "", "in force"
        try:
            warnings = self._reload()
        except Unreachable as problem:
            note, outcome = f"written, and not in force: {problem}", "written"
            if self._in_force(text) is None:
                note = "written; pulse does not run here, and reads it when it starts"
        except Refused as problem:
            raise self._taken_back(entry, now, str(problem)) from None
        self._note(replace(entry, outcome=outcome, note=note))
        return Written(
            digest=entry.after,
            serial=serial,
            backup=entry.number,
            in_force=outcome == "in force",
            note=note,
            warnings=warnings,
        )

    def _taken_back(self, entry: Entry, now: str, why: str) -> Denied:
        try:
            self._replace(now)
        except OSError as problem:
            self._note(replace(entry, outcome="written", note=why))
            return Denied(
                protocol.REFUSED,
                f"pulse does not take it ({why}) and goes on as before, but the file could not be"
                f" put back: {_reason(problem)}; entry {entry.number} of the history has its text",
            )
        self._note(replace(entry, outcome="taken back", note=why))
        return Denied(
            protocol.REFUSED, f"pulse does not take it, so the file is what it was: {why}"
        )

    def _note(self, entry: Entry) -> None:
        """Write down how a change ended. What was done is done, whether there is room or not."""
        with contextlib.suppress(OSError):
            self._history.note(entry)

    def _conflict(self, now: str) -> Denied:
        here = digest_of(now)
        author = self._history.author_of(here)
        if author is None:
            at = self._places.config.stat().st_mtime
            who, why = "somebody outside of this page", ""
        else:
            at, who, why = author.at, author.user, author.why
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        return Denied(
            protocol.CONFLICT,
            f"{who} has changed the file meanwhile ({moment}{': ' + why if why else ''});"
            " nothing was written, look at it and make your change again",
            {"digest": here, "who": who, "when": at, "why": why},
        )

    # -- files ----------------------------------------------------------------------------------

    def _grounds(self, settings: Settings) -> Grounds:
        choice = [one.path for one in self.programs(settings) if one.fit]
        return Grounds(choice, settings.scripts, self._addresses())

    def _addresses(self) -> Mapping[str, str]:
        """What names stand for, as lvsd remembers it."""
        try:
            known = json.loads((self._places.in_force.parent / NAMES).read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {str(k): v for k, v in known.items() if isinstance(v, str)}

    def _text(self) -> str:
        try:
            with self._places.config.open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            return ""
        except OSError as problem:
            raise Denied(
                protocol.REFUSED, f"cannot read {self._places.config}: {_reason(problem)}"
            ) from None
        if len(data) > MAX_FILE:
            raise Denied(protocol.REFUSED, f"{self._places.config} is larger than {MAX_FILE} bytes")
        return decode(data)

    def _in_force(self, text: str) -> bool | None:
        try:
            return self._places.in_force.read_bytes() == encode(text)
        except OSError:
            return None

    @staticmethod
    def _bounded(text: str) -> None:
        try:
            size = len(text.encode("utf-8"))
        except UnicodeEncodeError:
            raise Denied(
                protocol.INVALID, "the text is not UTF-8 text; save the file as UTF-8 first"
            ) from None
        if size > MAX_FILE:
            raise Denied(protocol.INVALID, f"the text is larger than {MAX_FILE} bytes")

    def _replace(self, text: str) -> None:
        """Replace the file in one step, with the owner, group and mode that it had."""
        path = self._places.config
        if path.exists():
            formatting.replace(path, encode(text))
        else:
            files.replace(path, text, durable=True)
            path.chmod(0o644)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep Ansible's modules and other editors from writing meanwhile; they lock it too."""
        folder = Path(os.path.realpath(self._places.config)).parent
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            limit = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as problem:
                    if problem.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                        break  # a file system without locks
                if time.monotonic() > limit:
                    raise Denied(
                        protocol.REFUSED,
                        f"something else has held {folder} for {LOCK_SECONDS:.0f} s; try again",
                    )
                time.sleep(LOCK_PAUSE)
            yield
        finally:
            os.close(number)


def with_serial(text: str, serial: int) -> str:
    """Give the text with this `serial_no`; everything else stays as it is."""
    head, rest = _head(text)
    document = parse(head)
    document.set(document.root, "serial_no", str(serial))
    return document.text() + rest


def _serial(text: str) -> int:
    line = parse(_head(text)[0]).root.find("serial_no")
    word = line.args[0] if line is not None and line.args else ""
    return int(word) if re.fullmatch("[0-9]{1,9}", word) else 0


_FIRST_BLOCK = re.compile(r"^(?:virtual|failover)[ \t]", re.MULTILINE)
_SERIAL = re.compile(r"^[ \t]*serial_no\b", re.MULTILINE)


def _head(text: str) -> tuple[str, str]:
    """Cut a text before its first block, where its only `serial_no` stands before that.

    Parsing a thousand blocks for one number takes half a second.
    """
    first = _FIRST_BLOCK.search(text)
    lines = list(_SERIAL.finditer(text))
    if first is None or len(lines) != 1 or lines[0].start() > first.start():
        return text, ""
    head = text[: first.start()]
    return (text, "") if "{" in head or "}" in head else (head, text[first.start() :])


def _why_not_edit(settings: Settings, *, managed: bool) -> str:
    if protocol.lesser(settings.ceiling, protocol.EDIT) != protocol.EDIT:
        return (
            f"this page may {settings.ceiling} at the most; whoever sets up the router may raise"
            " that (piranha_router_gui_rights: edit)"
        )
    if managed and not settings.edit_managed:
        return (
            "Ansible writes this file, and its next run would undo a change made here; change the"
            f" inventory and run the playbook {settings.playbook}, or allow it"
            " (piranha_router_gui_edit_managed: true)"
        )
    return ""


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem)
