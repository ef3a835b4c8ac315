# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about health checks: what `check` and the directives around it need of each other.

Pure. Which kind takes which directive is checks.py's; the readers of parameters below are the
agent's too, so that what passes here can be checked there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .checks import CHECK_KINDS, CONVERSATION, ICMP, PROGRAM, VIRTUAL_CHECKS
from .config import Config, Section, Server, Virtual
from .ere import Ere, EreError
from .findings import Finding, finding
from .values import escape, unescape

_ALWAYS = (
    "check",
    "check_interval",
    "check_fast_interval",
    "check_timeout",
    "check_via",
    "check_address",
    "check_port",
)
_OWN = tuple(row.name for row in VIRTUAL_CHECKS if row.name not in _ALWAYS)
_STATUS = re.compile(r"[ \t]*([1-5][0-9]{2})[ \t]*(?:-[ \t]*([1-5][0-9]{2})[ \t]*)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_LINE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")
_LABEL = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,63}")
_NAME_LONGEST = 253
_USER = re.compile(r"[\x21-\x7e]{1,63}")


def status_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Read `200,300-399` as ((200, 200), (300, 399)); ValueError with a reason."""
    ranges = []
    for part in text.split(","):
        match = _STATUS.fullmatch(part)
        if match is None:
            raise ValueError(f"`{part.strip()}` is no status code and no range of them")
        low, high = int(match.group(1)), int(match.group(2) or match.group(1))
        if high < low:
            raise ValueError(f"`{part.strip()}` ends before it begins")
        ranges.append((low, high))
    return tuple(ranges)


def header(text: str) -> tuple[str, str]:
    """Read `Name: value`; ValueError with a reason."""
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError(f"`{text}` is no header; write `Name: value`")
    if not _LINE.fullmatch(value):
        raise ValueError(f"`{name}` has a control character in its value")
    if name.lower() in ("connection", "content-length", "transfer-encoding"):
        raise ValueError(f"`{name}` is set by the check itself")
    return name, value.strip()


def dns_name(text: str) -> tuple[bytes, ...]:
    """Read a domain name as its labels, none for the root; ValueError with a reason."""
    name = text[:-1] if text.endswith(".") else text
    if not name:
        return ()
    labels = name.split(".")
    if len(name) > _NAME_LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"`{text}` is no domain name")
    return tuple(label.encode("ascii") for label in labels)


def _matches(pattern: re.Pattern[str], what: str) -> Callable[[str], object]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"`{text}` is no {what}")
        return text

    return read


def _path(text: str) -> str:
    if not text.startswith(("/", "*")) or not _VISIBLE.fullmatch(text):
        raise ValueError(f"`{text}` is no path: it begins with / and has no blanks (write %20)")
    return text


def _ere(text: str) -> Ere:
    try:
        return Ere(text.encode("utf-8", "surrogateescape"))
    except EreError as error:
        shown = escape(text)  # a real line end would break the sentence in two
        raise ValueError(f"`{shown}` is no extended regular expression: {error}") from error


def _some_text(text: str) -> str:
    if not text:
        raise ValueError("an empty text is found in every answer")
    return text


_READERS: dict[str, Callable[[str], object]] = {
    "check_path": _path,
    "check_host": _matches(_HOST, "host name"),
    "check_status": status_ranges,
    "check_body": _some_text,
    "check_body_regex": _ere,
    "check_server_name": _matches(_HOST, "host name"),
    "check_query": dns_name,
    "check_helo": _matches(_HOST, "host name"),
    "check_user": _matches(_USER, "user name of at most 63 characters without blanks"),
}


def health_checks(config: Config) -> Iterator[Finding]:
    """The rules for every active virtual server and failover service."""
    for _kind, block in config.blocks():
        if not block.settings.flag("active"):
            continue
        yield from _regex(block.settings)
        if block.settings["check"] is None:
            yield from _without(block)
        else:
            yield from _unheeded(block)
            yield from _needs(block)
            yield from _parameters(block)


def _regex(settings: Section) -> Iterator[Finding]:
    """`expect` must be an expression that can be searched for, where it is one at all."""
    expect = settings.text("expect")
    program = settings["send_program"] is not None and settings["check"] in (None, PROGRAM)
    if not settings.flag("use_regex") or expect in (None, "", "*") or program:
        return
    try:
        _ere(unescape(str(expect)))
    except ValueError as error:
        message = f"`expect`: {error}"
        yield finding("E312", settings.place("expect", 0), message, "see regex(7)")


def _without(block: Virtual) -> Iterator[Finding]:
    for settings, key in _written(block, _OWN):
        message = f"`{key}` has no effect without `check`"
        yield finding("W311", settings.place(key), message, "add `check = KIND`")


def _unheeded(block: Virtual) -> Iterator[Finding]:
    kind = CHECK_KINDS[str(block.settings["check"])]
    for settings, key in _written(block, (*_OWN, *CONVERSATION, "check_port")):
        # A program is told the port; an echo request has none.
        heeded = kind.transport != ICMP if key == "check_port" else key in kind.takes
        if not heeded:
            message = f"`check = {kind.name}` has no use for `{key}`"
            users = [other.name for other in CHECK_KINDS.values() if key in other.takes]
            remedy = f"remove it, or use check = {' or '.join(users)}" if users else "remove it"
            yield finding("W311", settings.place(key), message, remedy)


def _written(block: Virtual, keys: tuple[str, ...]) -> Iterator[tuple[Section, str]]:
    """Where one of these directives is written, in the block or in one of its servers."""
    for settings in (block.settings, *(server.settings for server in block.servers)):
        if settings.written:
            for key in keys:
                if key in settings.written:
                    yield settings, key


def _needs(block: Virtual) -> Iterator[Finding]:
    settings = block.settings
    kind = CHECK_KINDS[str(settings["check"])]
    for key in kind.needs:
        if settings[key] is None:
            message = f"`check = {kind.name}` needs `{key}`"
            yield finding("E311", settings.place("check", 0), message, f'add `{key} = "TEXT"`')
    if kind.transport in (ICMP, PROGRAM):
        return
    for server in block.servers:
        if server.settings.flag("active") and _port_missing(server):
            message = f"server `{server.name}`: `check = {kind.name}` needs a port, but its is 0"
            yield finding("E311", server.settings.place(), message, "add `check_port = PORT`")


def _port_missing(server: Server) -> bool:
    return not server.settings["port"] and server.settings["check_port"] is None


def _parameters(block: Virtual) -> Iterator[Finding]:
    kind = CHECK_KINDS[str(block.settings["check"])]
    for settings, key in _written(block, kind.takes):
        reader = _READERS.get(key)
        try:
            if key == "check_headers":
                for text in _texts(settings[key]):
                    header(text)
            elif reader is not None and settings.text(key) is not None:
                reader(str(settings.text(key)))
        except ValueError as error:
            yield finding("E312", settings.place(key, 0), f"`{key}`: {error}")
    if "check_body" in kind.takes and block.settings["check_method"] == "HEAD":
        for key in ("check_body", "check_body_regex"):
            if block.settings.given(key):
                message = f"an answer to HEAD has no body, so `{key}` would never be met"
                yield finding(
                    "E312", block.settings.place(key), message, "use `check_method = GET`"
                )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()
