# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classic dialect: what Piranha 0.8.6 accepted is accepted, what it refused is refused there.

Lines and verdicts are those of the specification's section 1, which were seen by running the
original's parser.
"""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import (
    CLASSIC,
    Loaded,
    load,
    to_data,
)
from hypothesis import given

from .cluster import CLUSTER, QUIET
from .strategies import documents


def classic(text: str) -> Loaded:
    return load(text, "lvs.cf", CLASSIC)


def refused(text: str) -> list[int]:
    """The lines of the errors in the classic dialect."""
    return [found.line for found in classic(text).errors]


def among_globals(line: str) -> str:
    """The quiet configuration with one more line in front, which is line 1."""
    return f"{line}\n{QUIET}"


def in_virtual(line: str) -> str:
    """The quiet configuration with one more line in its virtual server, which is line 9."""
    return QUIET.replace("virtual web {\n", f"virtual web {{\n{line}\n")


def in_server(line: str) -> str:
    """The quiet configuration with one more line in its server, which is line 14."""
    return QUIET.replace("server one {\n", f"server one {{\n{line}\n")


@pytest.mark.parametrize("text", [CLUSTER, QUIET, "# only a comment\n", "\n \t\n"])
def test_what_the_original_accepted_as_a_whole_gets_no_refusal(text: str) -> None:
    assert [f for f in classic(text).findings if f.code.startswith("E4")] == []


@pytest.mark.parametrize(
    "line",
    [
        "  keepalive   =\t3  ",
        "keepalive = 0x3",
        "keepalive = 03",
        'keepalive = "3"',
        "keepalive = +3",
        "monitor_links = -1",
        'serial_no = ""',
        "serial_no = -5",
        "debug_level = 'NONE'",
        'debug_level = "a b" ',
        'debug_level = "a"b"',
        'debug_level = "',
        "debug_level = a#b",
        "debug_level = #b",
        "debug_level = a=b",
        'rsh_command = "it\'s so"',
        "rsh_command = '\"a b\"'",
        "primary_private = 10.1",
        "primary_private = router1.example.com",
        "heartbeat_port = http",
        "heartbeat_port = 0x10",
        "nat_nmask = 24",
        "nat_nmask = 255.255.0",
        "reservation_conflict_action = preempt",
        "heartbeat = 01",
        "active_cmd = /bin/true",
    ],
)
def test_a_global_line_that_the_original_took(line: str) -> None:
    assert refused(among_globals(line)) == []
    assert load(among_globals(line)).errors == []


@pytest.mark.parametrize(
    "line",
    [
        "port = 81",
        "port = domain",
        "protocol = udp",
        "scheduler = lblcr",
        "scheduler = pcc",
        "pmask = what",
        'send = "\\n"',
        "expect = *",
        "dirs = [ /a /b ]",
        "master = 192.0.2.7",
        "start_cmd = '/bin/x y'",
        "reentry = 0",
        "reentry = 0x0",
        'reentry = ""',
        "vip_nmask = 0.0.0.0",
        "sorry_server = 198.51.100.99",
        "} # end\nvirtual [server_name] {",
        "} text\nvirtual 158 {",
        "}\nvirtual #1 {",
        '}\nvirtual "my vs" {',
        "}\nfailover x {\nserver y {\n}\n",
    ],
)
def test_a_line_in_a_block_that_the_original_took(line: str) -> None:
    text = in_virtual(line)
    assert [f.format() for f in classic(text).errors] == []


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("E401", "keepalive=6"),
        ("E401", "keepalive= 6"),
        ("E401", "keepalive =6"),
        ("E402", "keepalive = 6 # seconds"),
        ("E402", 'debug_level = "a b" # c'),
        ("E403", 'debug_level = "OK" '),
        ("E403", 'debug_level = "OK" # c'),
        ("E404", "heartbeat_key_file = /etc/key"),
        ("E404", "start_delay = 3"),
        ("E405", "keepalive = 0.5"),
        ("E405", "keepalive = 1s"),
        ("E405", "primary_private = 2001:db8::1"),
        ("E405", "primary_private = 0.0.0.0"),
        ("E405", "nat_nmask = /24"),
        ("E406", "nat_router = 192.0.2.5"),
        ("E405", "nat_router = 192.0.2.5/24 eth1:1"),
    ],
)
def test_a_newer_global_line_is_refused_on_its_line(code: str, line: str) -> None:
    assert [(f.code, f.line) for f in classic(among_globals(line)).errors] == [(code, 1)]
    assert load(among_globals(line)).errors == []


@pytest.mark.parametrize(
    "line",
    [
        "Keepalive = 3",
        "debug = 1",
        "expect_program = x",
        "keepalive = 6s7",
        "keepalive = yes",
        "keepalive = 08",
        "keepalive = six",
        "heartbeat = yes",
        "heartbeat = 2",
        "heartbeat_port = nosuch",
        "service = LVS",
        "network = route",
        "primary_private = a!b",
        "keepalive",
        "keepalive =",
        "debug_level = a b",
        'debug_level = "a',
        'debug_level = "a b"c',
        "}",
        "{",
        "nonsense",
    ],
)
def test_a_wrong_global_line_is_refused_in_both_dialects(line: str) -> None:
    assert [f.line for f in load(among_globals(line)).errors] == [1]
    assert refused(among_globals(line)) == [1]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("E404", "forward = direct"),
        ("E404", "rise = 3"),
        ("E405", "scheduler = sed"),
        ("E405", "scheduler = mh"),
        ("E405", "protocol = sctp\nsend_program = /bin/true"),
        ("E404", "ops = 0"),
        ("E405", "timeout = 500ms"),
        ("E405", "pmask = /24"),
        ("E405", "sorry_server = 2001:db8::9"),
    ],
)
def test_a_newer_line_in_a_virtual_server_is_refused_on_its_line(code: str, line: str) -> None:
    found = [(f.code, f.line) for f in classic(in_virtual(line)).errors if f.code[1] == "4"]
    if "pmask" in line:  # the original passed over what it could not read as pmask
        assert found == []
    else:
        assert found == [(code, 9)]


def test_a_servers_port_had_to_be_a_number() -> None:
    assert refused(in_server("port = http")) == [14]
    assert load(in_server("port = http")).errors == []


@pytest.mark.parametrize(
    "header",
    ["virtual web{", "virtual web", "virtual web { active = 1 }", "virtual {", 'virtual "web" {'],
)
def test_a_header_that_the_original_refused(header: str) -> None:
    assert refused(QUIET.replace("virtual web {", header))[:1] == [8]


def test_a_missing_brace_at_the_end_was_accepted() -> None:
    text = QUIET.rstrip("}\n ")
    assert refused(text) == []
    assert to_data(classic(text).config) == to_data(load(QUIET).config)


def test_an_empty_file_and_a_byte_order_mark_were_refused() -> None:
    assert [f.code for f in classic("").errors if f.line == 1] == ["E408"]
    assert [(f.code, f.line) for f in classic("\ufeff" + QUIET).errors] == [("E408", 1)]


def test_crlf_is_told_and_read() -> None:
    loaded = classic(QUIET.replace("\n", "\r\n"))
    assert [(f.code, f.line) for f in loaded.findings] == [("W204", 2)]
    assert loaded.config == load(QUIET).config
    assert [f.code for f in classic(QUIET.replace("\n", "\r")).findings] == []
    # On the first line only it was harmless.
    assert classic(QUIET.replace("\n", "\r\n", 1)).findings == []


def test_one_crlf_further_down_glued_the_lines_above() -> None:
    lines = QUIET.split("\n")
    text = "\n".join(lines[:4]) + "\r\n" + "\n".join(lines[4:])
    assert [(f.code, f.line) for f in classic(text).findings] == [("E408", 1)]
    assert [f.code for f in load(text).findings] == ["A304"]
    # Behind a comment they became part of it.
    assert [(f.code, f.line) for f in classic("# x\n" + text).findings] == [("W204", 2)]


def test_every_refused_line_is_named_in_one_run() -> None:
    text = QUIET.replace("backup = ", "backup=").replace("port = 80", "port = 80 # web")
    assert [(f.code, f.line) for f in classic(text).errors] == [("E401", 2), ("E402", 11)]


def test_the_underlined_text_is_what_was_refused() -> None:
    (found,) = classic(in_virtual("    timeout = 6s")).errors
    assert (found.line, found.column, found.length) == (9, 15, 2)
    assert "timeout" in found.message
    assert found.remedy


def test_single_quotes_stayed_in_what_was_expected() -> None:
    loaded = classic(in_virtual("    expect = 'OK'\n    load_monitor = 'none'"))
    (found,) = loaded.findings
    assert (found.code, found.line, found.column, found.length) == ("W203", 9, 14, 4)
    assert loaded.config.virtual[0].settings["expect"] == "OK"


def test_a_control_character_in_a_comment_does_no_harm_but_nul_does() -> None:
    assert [found.code for found in load("# a\x0cb\n" + QUIET).findings] == []
    assert [found.code for found in load("# a\0b\n" + QUIET).findings] == ["E109"]


def test_another_dialect_is_refused() -> None:
    with pytest.raises(ValueError, match="classic and extended"):
        load(QUIET, dialect="modern")


@given(documents)
def test_no_text_makes_the_classic_reader_fail(text: str) -> None:
    loaded = classic(text)
    assert loaded.config == load(text).config
    assert all(
        0 <= found.line <= text.count("\n") + text.count("\r") + 1 for found in loaded.findings
    )


def test_a_blank_behind_a_quoted_word_is_named_as_the_reason() -> None:
    (found,) = classic(in_virtual('    expect = "OK" ')).errors
    assert "not even a blank" in found.message
