# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line of lvs.cf: cut into tokens, and quoting the other way round.

Knows no directive and no block; document.py puts lines together, values.py gives tokens a meaning.
Blanks are spaces and tabs, nothing else. There is no escape in a line: a backslash stays in the
value. It only keeps the quote behind it from ending the value, so that `"say \\" there"` is one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLANKS = " \t"
_TOKEN = re.compile(r"[^ \t]+")
# A quote that is not behind a backslash and has a blank or the end of the line behind it.
_CLOSING = {quote: re.compile(rf"(?<!\\){quote}(?=[ \t]|$)") for quote in "\"'"}
_CLOSING_ANY = {quote: re.compile(rf"{quote}(?=[ \t]|$)") for quote in "\"'"}

# key = value: the key, and where its values begin.
STATEMENT = re.compile(r"[ \t]*([^ \t=#{}\"']+)[ \t]*=")
CLOSING_BRACE = re.compile(r"[ \t]*\}")


class Token(NamedTuple):
    """A value, where it stands in its line (quotes included), and the quote around it."""

    text: str
    start: int
    end: int
    quote: str


class Values(NamedTuple):
    """The values of a statement, where a comment behind them begins, and what is wrong."""

    tokens: tuple[Token, ...]
    comment: int  # offset, or -1
    unclosed: int  # offset of a quote that is never closed, or -1


def cut(raw: str, position: int) -> Values:
    """Cut the rest of a line, from `position` on, into values.

    A `#` behind a blank begins a comment. As the first and only token it is a value, since the
    original took it for one.
    """
    tokens: list[Token] = []
    length = len(raw)
    while True:
        while position < length and raw[position] in BLANKS:
            position += 1
        if position >= length:
            return Values(tuple(tokens), -1, -1)
        first = raw[position]
        if first == "#" and (tokens or _TOKEN.sub("", raw[position:].strip(BLANKS), count=1)):
            return Values(tuple(tokens), position, -1)
        if first in "\"'":
            if not raw[position + 1 :].strip(BLANKS):  # a lone quote is the empty string
                tokens.append(Token("", position, position + 1, first))
                return Values(tuple(tokens), -1, -1)
            closing = _closing_quote(raw, position + 1, first)
            if closing < 0:
                return Values(tuple(tokens), -1, position)
            tokens.append(Token(raw[position + 1 : closing], position, closing + 1, first))
            position = closing + 1
        else:
            match = _TOKEN.match(raw, position)
            end = match.end() if match else length
            tokens.append(Token(raw[position:end], position, end, ""))
            position = end


def _closing_quote(raw: str, position: int, quote: str) -> int:
    match = _CLOSING[quote].search(raw, position) or _CLOSING_ANY[quote].search(raw, position)
    return match.start() if match else -1


def quoted(text: str, always: bool = False) -> str:
    """Write a text so that cut() reads it back: bare, in double quotes, or in single ones.

    `always` leaves the bare form out. ValueError where no form reads back, which is so for line
    ends and for texts with both kinds of quotes and blanks.
    """
    forms = (f'"{text}"', f"'{text}'") if always else (text, f'"{text}"', f"'{text}'")
    if set(text) & {"\n", "\r", "\0"}:
        raise ValueError(f"{text!r} cannot stand in one line")
    for form in forms:
        values = cut(form, 0)
        whole = [token.text for token in values.tokens] == [text]
        # A bare # would be a comment as soon as something stood behind it.
        if whole and values.comment < 0 and values.unclosed < 0 and form[:1] != "#":
            return form
    raise ValueError(f"{text!r} cannot be quoted")
