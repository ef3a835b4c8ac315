# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever owns the page gains no program and no file of the router, whatever text they send."""

from __future__ import annotations

import re

import pytest
from piranha.core.lvs_cf.api import load
from piranha.core.lvs_cf.directives import DIRECTIVES
from piranha.editing import guard

from .files import TEXT

FOLDER = "/etc/piranha/scripts"
CHOICE = [f"{FOLDER}/check", f"{FOLDER}/tell"]


def refused(text: str) -> list[str]:
    loaded = load(text)
    assert not loaded.errors, loaded.report()
    return guard.refusals(load(TEXT).config, loaded.config, CHOICE, FOLDER)


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_every_directive_that_runs_a_program_or_names_a_file_is_guarded() -> None:
    """Held to the table's own words, so that a row that is added later is not forgotten."""
    told = re.compile(r"\b(program|command|path of|how to ask)\b", re.IGNORECASE)
    harmless = {"cmd_timeout", "check_path", "start_timeout", "stop_timeout"}
    harmless |= {"heartbeat_port", "primary_links", "backup_links", "check_via"}
    by_words = {row.name for row in DIRECTIVES if told.search(row.doc)} - harmless
    runs = {row.name for row in DIRECTIVES if row.runs}
    assert by_words - {"expect", "send"} <= runs | {"heartbeat_key_file"}
    assert runs == {
        *("rsh_command", "ipvsadm", "active_cmd", "inactive_cmd", "fault_cmd", "notify_cmd"),
        *("client_monitor", "send_program", "load_monitor", "start_cmd", "stop_cmd"),
    }
    files = {row.name for row in DIRECTIVES if guard.guarded(row)} - runs
    assert files == {"heartbeat_key_file", "check_ca_file"}


ATTACKS = {
    "another program": changed("/usr/local/bin/check %h", "/bin/sh %h"),
    "other arguments": changed("/usr/local/bin/tell all", "/usr/local/bin/tell all; id"),
    "one more argument": changed("/usr/local/bin/check %h", "/usr/local/bin/check %h %p"),
    "a hook that was not there": TEXT.replace("network", 'active_cmd = "/bin/id"\nnetwork', 1),
    "an unused one": TEXT.replace("network", "ipvsadm = /bin/id\nnetwork", 1),
    "rsh": changed("/usr/bin/ssh", "/bin/id"),
    "rsh out of the file, so that another program runs": changed(
        "rsh_command = /usr/bin/ssh\n", ""
    ),
    "a program for load": TEXT.replace("port = 443", "load_monitor = /bin/id\n    port = 443"),
    "a well-known one for load": TEXT.replace("port = 443", "load_monitor = rup\n    port = 443"),
    "start": changed("/etc/init.d/spool start", "/etc/init.d/other start"),
    "stop becomes start's": changed("/etc/init.d/spool stop", "/etc/init.d/spool start"),
    "a hook's program as a check": TEXT.replace(
        "port = 443", 'send_program = "/usr/local/bin/tell all"\n    port = 443'
    ),
    "another CA": changed("/etc/piranha/ca.pem", "/srv/mine.pem"),
    "another key": TEXT.replace("network", "heartbeat_key_file = /srv/key\nnetwork", 1),
    "out of the folder": changed("/usr/local/bin/check %h", f"{FOLDER}/../../../bin/sh"),
    "not in the folder": changed("/usr/local/bin/check %h", f"{FOLDER}/absent"),
    "chosen, with an argument": changed("/usr/local/bin/check %h", f"{FOLDER}/check -c id"),
    "chosen, with a joined place": changed("/usr/local/bin/check %h", f"{FOLDER}/check x%h"),
    "the second of two lines counts": TEXT.replace(
        'send_program = "/usr/local/bin/check %h"',
        'send_program = "/usr/local/bin/check %h"\n    send_program = "/bin/id"',
    ),
    "in a block that is not active": TEXT + 'virtual new {\n    send_program = "/bin/id"\n}\n',
    "a file for a name in quotes": TEXT + "virtual 'a } b' {\n    check_ca_file = /etc/shadow\n}\n",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_what_names_a_program_or_file_anew_is_refused(attack: str) -> None:
    assert len(refused(attack)) == 1


HARMLESS = {
    "the same": TEXT,
    "another address": changed("192.0.2.12", "192.0.2.13"),
    "spacing and quotes": changed("/usr/local/bin/check %h", "/usr/local/bin/check %h"),
    "no check program any more": changed('    send_program = "/usr/local/bin/check %h"\n', ""),
    "no CA of its own any more": changed("    check_ca_file = /etc/piranha/ca.pem\n", ""),
    "load is not asked for": changed("load_monitor = uptime", "load_monitor = none"),
    "a copy of a block": TEXT
    + TEXT[TEXT.index("virtual web") : TEXT.index("virtual tls")].replace("= 80", "= 81"),
    "chosen": changed("/usr/local/bin/check %h", f"{FOLDER}/check %h %p"),
    "chosen for a hook": changed("/usr/local/bin/tell all", f"{FOLDER}/tell"),
    "a comment about a program": TEXT + "# send_program = /bin/id\n",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_runs_nothing_new_may_be_written(text: str) -> None:
    assert refused(text) == []


def test_the_sentence_says_where_why_and_what_to_do() -> None:
    text = changed("/usr/local/bin/check %h", "/bin/sh %h")
    assert refused(text) == [
        "virtual web: send_program: names a program, which the page may only choose from"
        f" {FOLDER}; put one there as root, or ask root to change the file"
    ]


def test_a_server_cannot_be_an_option_of_a_program() -> None:
    """%h becomes the address of the server, which the page may change: it can be no option."""
    for address in ("-oProxyCommand=id", "--help", "$(id)", "a b", "x;id"):
        loaded = load(TEXT.replace("192.0.2.12", f'"{address}"'))
        assert loaded.errors, address


@pytest.mark.parametrize(
    ("text", "managed"),
    [
        ("# Written by Ansible for the cluster x. Changes made here are lost at its next run.", 1),
        ("# Ansible managed", 1),
        ("\n\n#ANSIBLE MANAGED: do not edit\n", 1),
        ("serial_no = 1 # not by ansible\n", 0),
        ("", 0),
        ("# by hand\n" * 20 + "# Ansible managed\n", 0),
    ],
)
def test_a_file_of_ansibles_says_so_at_its_head(text: str, managed: int) -> None:
    assert guard.managed_by_ansible(text) == bool(managed)
