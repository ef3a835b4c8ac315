# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classic dialect: which lines Piranha 0.8.6 refused, and why.

A reader of its own beside document.py, since it follows the original's rules to the letter: it
cuts at blanks only, knows quotes for a whole value only, and takes every number that C takes.
The original stopped at the first such line; here each is named as if those above were right.
Whether a host name can be resolved depends on the machine and is not asked. Pure.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from . import directives as d
from .directives import FAILOVER, GLOBAL, SERVER, TABLES, VIRTUAL, Directive
from .document import KINDS, Document, Line
from .findings import Finding, Place, finding
from .lexer import BLANKS
from .services import PORTS

_WORD = re.compile(r"[^ \t]+")
_INTEGER = re.compile(r"[ \t\v\f]*[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_BLOCKS_IN = {GLOBAL: (VIRTUAL, FAILOVER), VIRTUAL: (SERVER,), FAILOVER: (SERVER,), SERVER: ()}
_UNKNOWN = "unknown"
# Directives for which 0.0.0.0 was no host.
_REAL_HOSTS = ("primary", "primary_private", "backup_private")
# Directives whose values kept their quotes until they were used, and then lost double ones only.
_KEPT_QUOTES = ("send", "expect", "send_program", "start_cmd", "stop_cmd")
_ALONE = "put the comment on a line of its own"
_LAST = "end the line with the quote, without blank or comment behind it"


class _Refusal(Exception):
    """Why the original refused a line; `start` and `end` are offsets in it."""

    def __init__(self, code: str, reason: str, remedy: str, start: int, end: int) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.remedy = remedy
        self.start = start
        self.end = end


def refusals(document: Document) -> list[Finding]:
    """A finding for each line that the original refused, or took with another value."""
    reader = _Reader()
    found: list[Finding] = []
    text_as_a_whole = _whole(document)
    if text_as_a_whole is not None:
        found.append(text_as_a_whole)
    for line in document.root.lines():
        try:
            reader.line(line)
        except _Refusal as refusal:
            place = Place(line.number, refusal.start + 1, max(1, refusal.end - refusal.start))
            message = f"Piranha 0.8.6 refused this line: {refusal.reason}"
            found.append(finding(refusal.code, place, message, refusal.remedy))
    return found + reader.notes


def _whole(document: Document) -> Finding | None:
    """What the original refused before it looked at any line."""
    first = next(document.root.lines(), None)
    if document.mark:
        message = "Piranha 0.8.6 refused this line: the byte-order mark is part of its first word"
        return finding("E408", Place(1, 1, 1), message, "save the file without a byte-order mark")
    if first is None:
        message = "Piranha 0.8.6 refused an empty file"
        return finding("E408", Place(1, 1, 1), message, "write at least one line")
    return None


def unread_lines(document: Document) -> tuple[Line | None, Line | None]:
    """The first line that the original passed over, and the first that it glued to others.

    It ended a line at the next CR wherever that stood, and at an LF only where no CR followed.
    So a line behind a CR LF began with an LF and counted as blank, and lines with LF in front of
    a CR were one. Gives None for what does not happen.
    """
    ignored: list[Line] = []
    glued: list[Line] = []
    piece: list[Line] = []
    behind_cr_lf = False
    for line in document.root.lines():
        piece.append(line)
        if line.end[:1] != "\r":
            continue
        if behind_cr_lf:
            ignored += filter(_says_something, piece)
        elif len(piece) > 1 and _says_something(piece[0]):
            glued.append(piece[0])
        else:
            ignored += filter(_says_something, piece[1:])
        behind_cr_lf = line.end == "\r\n"
        piece = []
    return next(iter(ignored), None), next(iter(glued), None)


def _says_something(line: Line) -> bool:
    bare = line.raw.strip(BLANKS)
    return bool(bare) and bare[0] != "#"


def line_ends(document: Document, dialect: str) -> list[Finding]:
    """What the original did with line ends that are not LF, in words; nothing where it read on."""
    ignored, glued = unread_lines(document)
    found: list[Finding] = []
    if glued is not None and dialect == d.CLASSIC:
        message = "Piranha 0.8.6 refused this line: it read it and the next as one, up to a CR"
        place = Place(glued.number, 1, max(1, len(glued.raw)))
        found.append(finding("E408", place, message, "end every line with LF"))
    line = ignored or glued
    if line is not None and line is not (glued if found else None):
        message = "the lines end with CR LF"
        message += "; Piranha 0.8.6 passed over this one, here it counts" if ignored else ""
        place = Place(line.number, 1, max(1, len(line.raw)))
        code = "W204" if dialect == d.CLASSIC else "A304"
        remedy = "save the file with LF line ends if the original shall read it"
        found.append(finding(code, place, message, remedy))
    return found


class _Reader:
    """The original's way through the lines, with the blocks that are open."""

    def __init__(self) -> None:
        self.stack = [GLOBAL]
        self.wants_brace = False  # a header was refused since its brace was missing
        self.number = 0
        self.notes: list[Finding] = []

    def line(self, line: Line) -> None:
        """Read one line; raises _Refusal."""
        raw = line.raw
        self.number = line.number
        words = list(_WORD.finditer(raw))
        if not words or words[0].group()[0] == "#":
            return
        first = words[0].group()
        wanted, self.wants_brace = self.wants_brace, False
        if wanted and raw.strip(BLANKS) == "{":
            return  # its header has been named
        if first == "}":
            if len(self.stack) == 1:
                raise _refusal("E407", "this brace closes nothing", "remove it", words[0])
            self.stack.pop()
        elif first in _BLOCKS_IN.get(self.stack[-1], KINDS):
            self.stack.append(first)
            self.header(raw, words)
        elif self.stack[-1] != _UNKNOWN:
            self.statement(raw, words)

    def header(self, raw: str, words: list[re.Match[str]]) -> None:
        """Everything behind the keyword must be a name and a brace."""
        keyword = words[0].group()
        remedy = f"write `{keyword} NAME {{` on one line"
        if len(words) == 1:
            self.wants_brace = True
            raise _refusal("E407", "a name and `{` are missing", remedy, words[0])
        rest = raw[words[1].start() :]
        end = words[1].end()
        if rest[0] in "\"'":
            _text, end = _quoted(raw, words[1].start(), more=True)
        behind = [word for word in words if word.start() >= end]
        if not behind:
            self.wants_brace = not raw.rstrip(BLANKS).endswith("{")
            reason = "`{` is missing as a word of its own"
            raise _refusal("E407", reason, remedy, words[-1])
        if len(behind) > 1 or behind[0].group() != "{":
            if words[-1].group().endswith("}"):
                self.stack.pop()
            raise _refusal("E407", "`{` must be the last word", remedy, behind[-1])

    def statement(self, raw: str, words: list[re.Match[str]]) -> None:
        """`key = value`, each a word of its own."""
        first = words[0]
        kind = self.stack[-1]
        rows = TABLES[kind].rows
        key = first.group().partition("=")[0]
        row = rows.get(key)
        if row is None or row.dialect != d.CLASSIC:
            self._recover(raw, words)
            reason = f"it did not know `{key}` here"
            raise _refusal("E404", reason, "leave it out, or check without --classic", first)
        if key != first.group() or (len(words) > 1 and words[1].group() != "="):
            reason = "blanks must stand on both sides of `=`"
            place = first if key != first.group() else words[1]
            raise _refusal("E401", reason, f"write `{key} = VALUE`", place)
        if len(words) < 3:  # noqa: PLR2004 - a key, an equals sign, a value
            raise _refusal("E406", "a value is missing", "write it behind the `=`", words[-1])
        self.value(row, raw, words[2:])

    def value(self, row: Directive, raw: str, words: list[re.Match[str]]) -> None:
        """The words behind the `=`."""
        start = words[0].start()
        quoted = raw[start] in "\"'"
        if quoted:
            text, end = _quoted(raw, start)
            values = [text]
            if raw[start] == "'" and row.name in _KEPT_QUOTES:
                place = Place(self.number, start + 1, end - start)
                message = f"Piranha 0.8.6 left the single quotes in the value of `{row.name}`"
                self.notes.append(finding("W203", place, message, "write double quotes"))
        else:
            values = [word.group() for word in words]
            end = len(raw.rstrip(BLANKS))
        expected = 2 if row.kind == d.ADDRESS_DEVICE else 1
        if row.kind != d.LIST and len(values) > expected:
            extra = words[expected]
            if extra.group()[0] == "#":
                raise _refusal("E402", "it knew no comment behind a value", _ALONE, extra)
            remedy = "quote a value that contains blanks, or remove the rest"
            raise _refusal("E402", "there is more than the value", remedy, extra)
        if len(values) < expected:
            reason, remedy = "the device is missing", f"write `{row.name} = ADDRESS DEVICE`"
            raise _refusal("E406", reason, remedy, words[-1])
        reason = _wrong_value(row, values)
        if reason:
            remedy = "check without --classic if the newer form is meant"
            raise _Refusal("E405", reason, remedy, start, end)

    def _recover(self, raw: str, words: list[re.Match[str]]) -> None:
        """Follow what was probably meant, so that later lines are judged in their block."""
        first, opens = words[0].group(), raw.rstrip(BLANKS).endswith("{")
        if first in (VIRTUAL, FAILOVER) and opens:  # a brace is missing above
            self.stack[1:] = [first]
        elif first == SERVER and opens and self.stack[-1] == SERVER:
            self.stack[-1:] = [SERVER]
        elif opens:
            self.stack.append(_UNKNOWN)


def _refusal(code: str, reason: str, remedy: str, word: re.Match[str]) -> _Refusal:
    return _Refusal(code, reason, remedy, word.start(), word.end())


def _quoted(raw: str, start: int, more: bool = False) -> tuple[str, int]:
    """The text of a quoted value and where it ends; `more`: something may stand behind it."""
    rest = raw[start:]
    quote = rest[0]
    word = _WORD.match(rest)
    first_word = word.group() if word else rest
    if first_word == rest:  # no blank anywhere
        if rest == quote:
            return "", len(raw)
        if rest[-1] != quote:
            raise _mismatch("the quote is not closed", raw, start)
        return rest[1:-1], len(raw)
    if quote in first_word[1:]:
        reason = "nothing, not even a blank, may stand behind a quoted text without blanks"
        raise _mismatch(reason, raw, start, "leave the quotes out" if more else _LAST)
    closing = rest.find(quote, len(first_word))
    if closing < 0:
        raise _mismatch("the quote is not closed", raw, start)
    behind = rest[closing + 1 :]
    if behind.strip(BLANKS) and (not more or behind[0] not in BLANKS):
        begin = start + closing + 1
        comment = behind.lstrip(BLANKS)[0] == "#"
        reason = "it knew no comment behind a value" if comment else "there is more than the value"
        remedy = _ALONE if comment else "use the other kind of quotes around the value"
        raise _Refusal("E402", reason, remedy, begin, len(raw))
    return rest[1:closing], start + closing + 1


def _mismatch(reason: str, raw: str, start: int, remedy: str = _LAST) -> _Refusal:
    return _Refusal("E403", reason, remedy, start, len(raw))


def _wrong_value(row: Directive, values: list[str]) -> str:
    """Why the original refused a value, or an empty text."""
    judge = _JUDGES.get(row.kind)
    return judge(row, values) if judge is not None and not row.lenient else ""


def _number(row: Directive, values: list[str]) -> str:
    if not values[0] or _INTEGER.fullmatch(values[0]):
        return ""
    return f"`{row.name}` took a whole number only, not `{values[0]}`"


def _switch(row: Directive, values: list[str]) -> str:
    text = values[0].strip()
    wrong = _number(row, values)
    if wrong or not text:
        return wrong
    digits = text.lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10
    return "" if int(text, base) in (0, 1) else f"`{row.name}` took 0 or 1 only"


def _port(row: Directive, values: list[str]) -> str:
    if row.where == SERVER:
        return _number(row, values)
    if values[0] in PORTS or not _number(row, values):
        return ""
    return f"`{values[0]}` is neither a whole number nor the name of a service"


def _choice(row: Directive, values: list[str]) -> str:
    if values[0] in row.aliases or (values[0] in row.choices and values[0] not in row.newer):
        return ""
    known = ", ".join(choice for choice in row.choices if choice not in row.newer)
    return f"`{row.name}` took {known} only"


def _dotted(text: str) -> bool:
    try:
        socket.inet_aton(text)
    except (OSError, UnicodeError, ValueError):
        return False
    return text == text.strip()


def _host(row: Directive, values: list[str]) -> str:
    text = values[0]
    zero = _dotted(text) and socket.inet_aton(text) == bytes(4)
    if zero and row.name in _REAL_HOSTS:
        return f"`{row.name}` could not be 0.0.0.0"
    if _dotted(text) or _HOST.fullmatch(text):
        return ""
    return f"`{row.name}` took an IPv4 address or a host name only"


def _ip(row: Directive, values: list[str]) -> str:
    return "" if _dotted(values[0]) else f"`{row.name}` took an IPv4 address only"


def _mask(row: Directive, values: list[str]) -> str:
    return "" if _dotted(values[0]) else f"`{row.name}` took a dotted netmask only"


def _list(row: Directive, values: list[str]) -> str:
    if values[0] == "[" and values[-1] == "]":
        return ""
    return f"`{row.name}` took a list in brackets that are words of their own"


_JUDGES: dict[str, Callable[[Directive, list[str]], str]] = {
    d.NUMBER: _number,
    d.SECONDS: _number,
    d.WHOLE_SECONDS: _number,
    d.SWITCH: _switch,
    d.PORT: _port,
    d.CHOICE: _choice,
    d.HOST: _host,
    d.IP: _ip,
    d.ADDRESS_DEVICE: _host,
    d.MASK: _mask,
    d.LIST: _list,
}
