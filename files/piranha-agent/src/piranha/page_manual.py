# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages piranha-passwd(1) and piranha-gui(8). Pure: words in, roff out.

What the commands take comes from their parsers; the settings are held to their class by a test.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from piranha.cli_docs import commands, roff
from piranha.passwd_cli import ACTIONS

SETTINGS = {
    "ceiling": "view, operate or edit: the most that anybody may do by the page (operate)",
    "edit_managed": "true lets the page change a file that Ansible has written (false)",
    "address": "address at which the page listens (127.0.0.1)",
    "port": "its port (3636)",
    "certificate": "file with the certificate and its issuers, PEM; without it loopback only",
    "key": "file with the certificate's key, PEM",
    "users": "file of the accounts (/etc/piranha/gui-users)",
    "scripts": "folder of the programs that the page may choose from (/etc/piranha/scripts)",
    "cluster": "the cluster's name, as the page shows it",
    "playbook": "what to run instead, where Ansible writes the file (piranha.lvs.site)",
}

PAGE = (
    "The web page shows both routers, every virtual service and every real server; drains and"
    " enables servers, switches over, and changes lvs.cf with findings, differences and a history.",
    "It runs as a user of its own without any right, and asks the editor (piranha editor, its own"
    " service), which judges each request by the role of whoever is logged in and by the ceiling."
    " Nothing that it sends can name a program or a file of the router anew.",
    "It speaks TLS, or listens on loopback alone. There is no account but those that"
    " piranha-passwd has made.",
)

FILES = {
    "/etc/piranha/gui.json": "settings of page and editor, root's; see above",
    "/etc/piranha/gui-users": "accounts, readable for root and the group piranha-gui",
    "/etc/piranha/gui.crt, /etc/piranha/gui.key": "certificate and key, where the role makes them",
    "/etc/piranha/scripts": "programs that the page may choose from: root's alone",
    "/run/piranha/gui.sock": "the editor's socket",
    "/var/lib/piranha-editor": "the history of changes",
}


def passwd(parser: argparse.ArgumentParser, version: str) -> str:
    """Give piranha-passwd(1). parser: of all commands."""
    below = dict(commands(parser))["passwd"]
    lines = [
        *_head("piranha-passwd", 1, version, "manage the accounts of the web page"),
        r"\fBpiranha\-passwd\fR \fIACTION\fR [\fINAME\fR] [\fIoptions\fR]",
        ".SH DESCRIPTION",
        roff(below.description or ""),
        ".SH ACTIONS",
    ]
    for name, words in ACTIONS.items():
        lines += [".TP", rf"\fB{roff(name)}\fR", roff(f"{words[0].upper()}{words[1:]}.")]
    lines.append(".SH OPTIONS")
    for action in below._actions:
        if action.option_strings and not isinstance(action, argparse._HelpAction):
            names = ", ".join(action.option_strings)
            value = f" {action.metavar}" if action.metavar else ""
            told = below._get_formatter()._expand_help(action)
            lines += [".TP", rf"\fB{roff(names + value)}\fR", roff(told)]
    lines += [
        ".SH EXIT STATUS",
        roff((below.epilog or "").partition(": ")[2]),
        ".SH EXAMPLES",
        ".nf",
        roff("sudo piranha-passwd add ann --role edit"),
        roff("sudo piranha-passwd token prometheus --role view"),
        ".fi",
        ".SH SEE ALSO",
        r"\fBpiranha\-gui\fR(8), \fBpiranha\fR(8)",
    ]
    return "\n".join(lines) + "\n"


def gui(version: str) -> str:
    """Give piranha-gui(8)."""
    lines = [
        *_head("piranha-gui", 8, version, "the web page of a Linux Virtual Server router"),
        r"\fBsystemctl start piranha\-gui\fR",
        ".SH DESCRIPTION",
        *_paragraphs(PAGE),
        ".SH SETTINGS",
        roff("/etc/piranha/gui.json is a JSON mapping. What it does not say has its default."),
        *_terms(SETTINGS),
        ".SH FILES",
        *_terms(FILES),
        ".SH SEE ALSO",
        r"\fBpiranha\-passwd\fR(1), \fBpiranha\fR(8), \fBlvs.cf\fR(5)",
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, section: int, version: str, words: str) -> list[str]:
    return [
        f'.TH {name.upper()} {section} "" "piranha {version}" "Linux Virtual Server"',
        ".SH NAME",
        rf"{roff(name)} \- {roff(words)}",
        ".SH SYNOPSIS",
    ]


def _paragraphs(words: tuple[str, ...]) -> Iterator[str]:
    for text in words:
        yield ".PP"
        yield roff(text)


def _terms(words: dict[str, str]) -> Iterator[str]:
    for name, text in words.items():
        yield ".TP"
        yield rf"\fB{roff(name)}\fR"
        yield roff(f"{text[0].upper()}{text[1:]}.")
