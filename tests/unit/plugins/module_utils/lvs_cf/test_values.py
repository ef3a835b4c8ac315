# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types: what each accepts, what it makes of it, and what it says otherwise."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.lexer import cut, quoted
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import (
    AddressDevice,
    BadValue,
    Value,
    escape,
    read_value,
    unescape,
)
from hypothesis import given
from hypothesis import strategies as st

GLOBALS, VIRTUALS, SERVERS = d.GLOBAL_TABLE.rows, d.VIRTUAL_TABLE.rows, d.SERVER_TABLE.rows


def words(line: str) -> tuple[str, ...]:
    return tuple(token.text for token in cut(line, 0).tokens)


@pytest.mark.parametrize(
    ("row", "line", "value"),
    [
        (GLOBALS["keepalive"], "6", 6),
        (GLOBALS["keepalive"], "0.5", 0.5),
        (GLOBALS["keepalive"], ".5", 0.5),
        (GLOBALS["keepalive"], "500ms", 0.5),
        (VIRTUALS["timeout"], "8587164.788", 8587164.788),
        (VIRTUALS["timeout"], repr(0.1 + 0.2), 0.3),
        (GLOBALS["keepalive"], "6s", 6),
        (GLOBALS["keepalive"], "2m", 120),
        (GLOBALS["keepalive"], "0x10", 16),
        (GLOBALS["keepalive"], "010", 8),
        (GLOBALS["start_delay"], '""', 0),
        (GLOBALS["heartbeat_port"], "ntp", 123),
        (GLOBALS["primary"], "router.example.org", "router.example.org"),
        (GLOBALS["primary"], "10.1", "10.0.0.1"),
        (GLOBALS["primary"], "2001:DB8:0::1", "2001:db8::1"),
        (GLOBALS["primary"], "::192.0.2.1", "::c000:201"),
        (GLOBALS["nat_router"], "192.0.2.1 eth1:1", AddressDevice("192.0.2.1", "eth1:1")),
        (GLOBALS["nat_nmask"], "255.255.255.128", 25),
        (GLOBALS["nat_nmask"], "/24", 24),
        (GLOBALS["nat_nmask"], "24", 24),
        (GLOBALS["nat_nmask"], "0.0.0.0", None),
        (GLOBALS["active_cmd"], '"/bin/true now"', "/bin/true now"),
        (VIRTUALS["address"], "2001:db8::1", AddressDevice("2001:db8::1")),
        (VIRTUALS["address"], "192.0.2.1/24", AddressDevice("192.0.2.1")),
        (VIRTUALS["scheduler"], "pcc", "lc"),
        (VIRTUALS["scheduler"], "mh", "mh"),
        (VIRTUALS["reentry"], "0", 180),
        (VIRTUALS["send"], r'"GET / HTTP/1.0\r\n\r\n"', r"GET / HTTP/1.0\r\n\r\n"),
        (VIRTUALS["expect"], "#", "#"),
        (VIRTUALS["expect"], '"', ""),
        (VIRTUALS["expect"], r'"say \"now\" # please" # really', r"say \"now\" # please"),
        (VIRTUALS["dirs"], "[ /a /b ]", ("/a", "/b")),
        (VIRTUALS["dirs"], "[/a]", ("/a",)),
        (SERVERS["weight"], "0", 0),
    ],
)
def test_a_value_is_read_as_its_type(row: d.Directive, line: str, value: Value) -> None:
    read = read_value(row, words(line)).value
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("row", "line", "code", "remedy"),
    [
        (GLOBALS["keepalive"], "six", "E203", "500ms"),
        (GLOBALS["keepalive"], "0", "E204", "0.01"),
        (GLOBALS["keepalive"], "0.0005", "E204", "millisecond"),
        (VIRTUALS["timeout"], "8587164.7881", "E204", "millisecond"),
        (GLOBALS["keepalive"], "9" * 5000, "E203", ""),
        (GLOBALS["keepalive"], "1e999", "E203", ""),
        (GLOBALS["tcp_timeout"], "0.5", "E204", "whole seconds"),
        (GLOBALS["backup_active"], "yes", "E203", "write 1"),
        (GLOBALS["backup_active"], "2", "E203", "1 (on) or 0 (off)"),
        (GLOBALS["syncd_id"], "300", "E204", "from 0 to 255"),
        (GLOBALS["syncd_id"], "089", "E203", "leading 0"),
        (GLOBALS["primary"], "192.0.2.256", "E203", "192.0.2.1"),
        (GLOBALS["primary"], "192.0.2.1/24", "E203", "alone"),
        (GLOBALS["primary"], "2001:db8::g", "E203", "2001:db8::1"),
        (GLOBALS["primary"], "2001:\0::", "E203", "2001:db8::1"),
        (GLOBALS["primary"], "::ffff:0:0", "E203", "write 0.0.0.0"),
        (SERVERS["address"], "::FFFF:c000:201", "E203", "write 192.0.2.1"),
        (VIRTUALS["address"], "::ffff:192.0.2.1/128", "E203", "write 192.0.2.1"),
        (VIRTUALS["sorry_server"], "::ffff:192.0.2.1", "E203", "write 192.0.2.1"),
        (GLOBALS["primary"], "2001:\udcff::", "E203", "2001:db8::1"),
        (GLOBALS["nat_nmask"], "255.0.255.0", "E203", "/24"),
        (GLOBALS["nat_nmask"], "/129", "E204", "/24"),
        (GLOBALS["heartbeat_key_file"], "key", "E203", "/etc/piranha/heartbeat.key"),
        (VIRTUALS["address"], "192.0.2.1/33", "E203", "1 to 32"),
        (VIRTUALS["address"], "192.0.2.1 eth0 eth1", "E107", "quote"),
        (VIRTUALS["port"], "htp", "E203", "`http`"),
        (VIRTUALS["port"], "-1", "E204", "65535"),
        (VIRTUALS["scheduler"], "WLC", "E203", "`wlc`"),
        (VIRTUALS["sorry_server"], "www.example.org", "E203", "192.0.2.1"),
        (VIRTUALS["start_cmd"], "/bin/true now", "E107", "quote"),
        (VIRTUALS["dirs"], "/a", "E203", "[ one two ]"),
        (SERVERS["weight"], "-1", "E204", "0 to 65535"),
        (SERVERS["weight"], "heavy", "E203", "weight = 1"),
    ],
)
def test_a_bad_value_gets_a_code_and_a_remedy(
    row: d.Directive, line: str, code: str, remedy: str
) -> None:
    with pytest.raises(BadValue) as caught:
        read_value(row, words(line))
    assert caught.value.code == code
    assert row.name in caught.value.message or words(line)[-1] in caught.value.message
    assert remedy in caught.value.message + caught.value.remedy


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (GLOBALS["syncd_id"], "010"),
        (GLOBALS["primary"], "10.1"),
        (GLOBALS["primary"], "192.0.2.010"),
        (GLOBALS["nat_nmask"], "24"),
    ],
)
def test_what_the_original_read_in_its_own_way_is_said(row: d.Directive, line: str) -> None:
    assert [note.code for note in read_value(row, words(line)).notes] == ["W203"]


@given(st.text("ab \t\"'\\#={}[]", max_size=8), st.booleans())
def test_what_can_be_quoted_reads_back(text: str, always: bool) -> None:
    try:
        written = quoted(text, always)
    except ValueError:
        assert '"' in text or "'" in text
        return
    values = cut(written, 0)
    assert [token.text for token in values.tokens] == [text]
    assert values.comment == -1
    assert not always or written[0] in "\"'"


def test_escapes_are_those_of_the_original() -> None:
    assert unescape(r"GET / HTTP/1.0\r\n\r\n") == "GET / HTTP/1.0\r\n\r\n"
    assert unescape(r"a\\n\q\t\"\'") == "a\\n\\q\t\"'"
    assert unescape("\\") == "\\"


@given(st.text("ab\r\n\t", min_size=1))
def test_line_ends_written_as_escapes_mean_themselves(text: str) -> None:
    assert unescape(escape(text)) == text
    assert "\n" not in escape(text)
