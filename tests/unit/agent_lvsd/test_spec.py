# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the directives of a virtual service make of a check."""

from __future__ import annotations

from typing import Any

import pytest
from piranha.nanny.spec import (
    CheckSettings,
    Expectation,
    Match,
    NoCheck,
    ProgramCheck,
    SocketCheck,
    raw,
    watch_for,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"),
        (r"\\ \r \n \t \' \"", b"\\ \r \n \t ' \""),
        (r"\x \0 \d end\\n", rb"\x \0 \d end\n"),
        ("\\", b"\\"),
        ("n", b"n"),
        ("grüß", "grüß".encode()),
        ("\udcff", b"\xff"),
    ],
)
def test_escapes_are_those_of_the_original_and_no_others(text: str, wanted: bytes) -> None:
    assert raw(text) == wanted


def check(**directives: object) -> SocketCheck | ProgramCheck | NoCheck:
    defaults: dict[str, Any] = {"protocol": "tcp", "virtual_port": 80, "timeout": 10.0}
    settings = CheckSettings(**(defaults | directives))
    return watch_for(settings, "192.0.2.1", 8080).check


def test_http_is_the_default_on_port_80() -> None:
    made = check(timeout=2.0)
    assert made == SocketCheck(
        protocol="tcp",
        address="192.0.2.1",
        port=8080,
        limit=2.0,
        send=b"GET / HTTP/1.0\r\n\r\n",
        expect=Expectation(Match.PREFIX, b"HTTP"),
    )


@pytest.mark.parametrize(
    "directives",
    [{"virtual_port": 81}, {"send": "x"}, {"expect": "x"}, {"send_program": "/bin/true"}],
)
def test_http_is_no_default_where_anything_else_is_said(directives: dict[str, object]) -> None:
    made = check(**directives)
    assert getattr(made, "send", None) != b"GET / HTTP/1.0\r\n\r\n"


def test_a_plain_port_is_only_connected_to() -> None:
    made = check(virtual_port=25)
    assert made == SocketCheck("tcp", "192.0.2.1", 8080, 10.0)


@pytest.mark.parametrize(
    ("expect", "regex", "wanted"),
    [
        ("220", False, Expectation(Match.PREFIX, b"220")),
        ("*", False, Expectation(Match.ANY)),
        ("*", True, Expectation(Match.ANY)),
        ("", False, Expectation(Match.ANY)),
        ("2.0", True, Expectation(Match.REGEX, b"2.0")),
        (r"\n", False, Expectation(Match.PREFIX, b"\n")),
    ],
)
def test_expect(expect: str, regex: bool, wanted: Expectation) -> None:
    made = check(expect=expect, use_regex=regex)
    assert isinstance(made, SocketCheck)
    assert made.expect == wanted


def test_program_takes_whole_words_only() -> None:
    made = check(
        send_program="/usr/bin/check %h %p --to=%h %%h", expect="OK", use_regex=True, timeout=3.5
    )
    assert made == ProgramCheck(
        ("/usr/bin/check", "192.0.2.1", "8080", "--to=%h", "%%h"),
        3.5,
        Expectation(Match.PREFIX, b"OK"),
    )


def test_an_empty_program_is_no_check() -> None:
    assert isinstance(check(send_program="  "), NoCheck)


def test_udp_needs_something_to_send() -> None:
    assert isinstance(check(protocol="udp"), NoCheck)
    assert isinstance(check(protocol="udp", expect="x"), NoCheck)
    assert isinstance(check(protocol="udp", send_program="/bin/true"), ProgramCheck)
    made = check(protocol="udp", send="ping")
    assert isinstance(made, SocketCheck)
    assert made.expect == Expectation(Match.ANY)


def test_equal_descriptions_are_one_watch() -> None:
    settings = CheckSettings("tcp", 80, 2.0)
    assert watch_for(settings, "192.0.2.1", 80) == watch_for(settings, "192.0.2.1", 80)
    assert watch_for(settings, "192.0.2.1", 80) != watch_for(settings, "192.0.2.1", 81)
