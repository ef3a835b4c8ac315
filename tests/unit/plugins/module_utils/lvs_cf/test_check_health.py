# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about health checks: what a kind needs, heeds and has no use for."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.check_health import (
    dns_name,
    header,
    status_ranges,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.checks import (
    CHECK_KINDS,
    INHERITED,
    SERVER_CHECKS,
    VIRTUAL_CHECKS,
)

from .cluster import QUIET

PORT = "    port = 80"
SERVER = "198.51.100.11"


def found(virtual: str, server: str = "") -> list[tuple[str, str]]:
    """Codes and sentences for these lines in the virtual server and in its server."""
    text = QUIET.replace(PORT, f"{PORT}\n{virtual}")
    text = text.replace(SERVER, f"{SERVER}\n{server}") if server else text
    return [(each.code, each.sentence()) for each in load(text).findings]


def test_the_table_of_kinds_names_only_directives_that_exist() -> None:
    for kind in CHECK_KINDS.values():
        assert set(kind.takes) <= d.VIRTUAL_TABLE.rows.keys()
        assert set(kind.needs) <= set(kind.takes)
    assert set(INHERITED) <= {row.name for row in VIRTUAL_CHECKS}
    assert [row.where for row in SERVER_CHECKS] == [d.SERVER] * len(SERVER_CHECKS)


@pytest.mark.parametrize("kind", CHECK_KINDS)
def test_every_kind_is_quiet_with_what_it_needs(kind: str) -> None:
    more = "".join(f'\n{key} = "/bin/true"' for key in CHECK_KINDS[kind].needs)
    assert found(f"check = {kind}{more}") == []


@pytest.mark.parametrize(
    ("virtual", "code", "sentence"),
    [
        (
            "check = program",
            "E311",
            '`check = program` needs `send_program`; add `send_program = "TEXT"`',
        ),
        ("check = udp", "E311", '`check = udp` needs `send`; add `send = "TEXT"`'),
        (
            "check = http\nsend_program = /bin/true",
            "W311",
            "`check = http` has no use for `send_program`; remove it, or use check = program",
        ),
        (
            "check = tcp\ncheck_path = /x",
            "W311",
            "`check = tcp` has no use for `check_path`; remove it, or use check = http or https",
        ),
        (
            "check = icmp\ncheck_port = 5",
            "W311",
            "`check = icmp` has no use for `check_port`; remove it",
        ),
        (
            "check_path = /x",
            "W311",
            "`check_path` has no effect without `check`; add `check = KIND`",
        ),
        (
            "check = http\ncheck_status = 200-",
            "E312",
            "`check_status`: `200-` is no status code and no range of them",
        ),
        (
            "check = http\ncheck_status = 300-200",
            "E312",
            "`check_status`: `300-200` ends before it begins",
        ),
        (
            'check = http\ncheck_path = "/a b"',
            "E312",
            "`check_path`: `/a b` is no path: it begins with / and has no blanks (write %20)",
        ),
        ("check = http\ncheck_host = a/b", "E312", "`check_host`: `a/b` is no host name"),
        (
            'check = http\ncheck_headers = [ "X-A: b" nonsense ]',
            "E312",
            "`check_headers`: `nonsense` is no header; write `Name: value`",
        ),
        (
            "check = http\ncheck_headers = [ Connection:close ]",
            "E312",
            "`check_headers`: `Connection` is set by the check itself",
        ),
        (
            'check = http\ncheck_body_regex = "(a"',
            "E312",
            "`check_body_regex`: `(a` is no extended regular expression: a `(` is not closed",
        ),
        (
            "check = http\ncheck_method = HEAD\ncheck_body = x",
            "E312",
            "an answer to HEAD has no body, so `check_body` would never be met; "
            "use `check_method = GET`",
        ),
        ("check = dns\ncheck_query = a..b", "E312", "`check_query`: `a..b` is no domain name"),
        (
            'check = mysql\ncheck_user = "a b"',
            "E312",
            "`check_user`: `a b` is no user name of at most 63 characters without blanks",
        ),
        (
            'use_regex = 1\nexpect = "*a"',
            "E312",
            "`expect`: `*a` is no extended regular expression: there is nothing that `*` could "
            "repeat; see regex(7)",
        ),
    ],
)
def test_a_rule_finds_what_breaks_it(virtual: str, code: str, sentence: str) -> None:
    assert found(virtual) == [(code, sentence)]


def test_servers_are_judged_too() -> None:
    assert found("check = http", "check_path = here") == [
        ("E312", "`check_path`: `here` is no path: it begins with / and has no blanks (write %20)")
    ]
    assert [code for code, _unused in found("check = redis", "check_path = /x")] == ["W311"]


def test_a_server_checks_as_its_virtual_server_unless_it_says_otherwise() -> None:
    text = QUIET.replace(PORT, f"{PORT}\ncheck = http\ncheck_path = /all\ncheck_port = 81")
    text = text.replace(SERVER, f"{SERVER}\ncheck_path = /one")
    settings = load(text).config.virtual[0].servers[0].settings
    assert settings["check_path"] == "/one"
    assert settings["check_port"] == 81
    assert settings["port"] == 80


def test_a_port_of_0_needs_one_to_check() -> None:
    more = "persistent = 300\ncheck = http"
    text = QUIET.replace(PORT, f"    port = 0\n{more}")
    assert [each.code for each in load(text).findings] == ["E311"]
    assert load(text.replace(more, f"{more}\ncheck_port = 80")).findings == []


def test_readers_give_what_the_agent_needs() -> None:
    assert status_ranges("200, 301-302") == ((200, 200), (301, 302))
    assert header("X-A:  b ") == ("X-A", "b")
    assert dns_name(".") == dns_name("") == ()
    assert dns_name("a.example.") == (b"a", b"example")


def test_a_line_end_in_a_bad_expression_does_not_break_the_sentence() -> None:
    """Fuzzing found it: the expression was shown as it is sent, with real line ends."""
    lines = r"    port = 80" + "\n" + r"    use_regex = 1" + "\n" + r'    expect = "a{x\r\n"'
    (found,) = load(QUIET.replace("    port = 80", lines)).errors
    assert found.code == "E312"
    assert r"`a{x\r\n` is no extended regular expression" in found.message
    assert "\n" not in found.format()
