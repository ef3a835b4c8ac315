# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual page lvs.cf(5), made from the table of directives, so that nothing is written twice.

Pure: the table in, roff out. The page about the commands is made in cli_docs.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from piranha.cli_docs import roff
from piranha.core.lvs_cf import directives as d
from piranha.core.lvs_cf.explain import takes
from piranha.core.lvs_cf.values import write_value

EXAMPLE = """\
primary = 203.0.113.11
backup = 203.0.113.12
backup_active = 1
keepalive = 0.5
deadtime = 1.5
network = nat
nat_router = 192.0.2.254 eth2:1

virtual http {
    active = 1
    address = 203.0.113.100 eth1:1
    port = 80
    check = http
    check_path = /health

    server web1 {
        address = 192.0.2.21
        active = 1
    }
}
"""
_WORDS = (
    "A line is `directive = value`. A value with blanks stands in quotes; a number may have a "
    "unit of time where a time is wanted. A `#` at the beginning of a line or behind a blank "
    "begins a comment.",
    "A block is `virtual NAME {` (a virtual service) or `failover NAME {` (a failover service, "
    "with `service = fos`), with blocks `server NAME {` inside. Each ends with a line `}`.",
    "Every file that Piranha 0.8.6 accepted means the same here; what is marked as extended that "
    "program does not know. A file with an error is refused as a whole, and what ran before goes "
    "on. `piranha config check` names every mistake, and `piranha config explain` tells of one "
    "directive or one finding.",
)
_SECTIONS = {
    d.GLOBAL: ("GLOBAL DIRECTIVES", "They stand outside of all blocks."),
    d.VIRTUAL: ("VIRTUAL AND FAILOVER BLOCKS", "Both kinds take the same directives."),
    d.SERVER: ("SERVER BLOCKS", "A real server of the virtual service around it."),
}
_FILES = {
    "/etc/lvs.cf": "the file; `--config` and the service's unit may name another",
    "/etc/piranha/heartbeat.key": "the key of the heartbeats, root's, mode 0600",
    "/run/piranha/lvs.cf": "the configuration in force",
}


def page(version: str) -> str:
    """Give the page in roff (section 5)."""
    lines = [
        f'.TH LVS.CF 5 "" "piranha {roff(version)}" "Linux Virtual Server"',
        ".SH NAME",
        r"lvs.cf \- configuration of a cluster of Linux Virtual Server routers",
        ".SH DESCRIPTION",
        *_paragraphs(_WORDS),
    ]
    for where, (title, words) in _SECTIONS.items():
        lines += [f".SH {title}", words]
        for row in d.DIRECTIVES:
            if row.where == where:
                lines += _entry(row)
    lines += [".SH EXAMPLE", ".nf"]
    lines += [roff(line) if line else ".sp" for line in EXAMPLE.splitlines()]
    lines += [".fi", ".SH FILES"]
    for path, words in _FILES.items():
        lines += [".TP", rf"\fI{roff(path)}\fR", _bold(words)]
    lines += [".SH SEE ALSO", r"\fBpiranha\fR(8), \fBipvsadm\fR(8)"]
    return "\n".join(lines) + "\n"


def _paragraphs(texts: tuple[str, ...]) -> Iterator[str]:
    for number, text in enumerate(texts):
        if number:
            yield ".PP"
        yield _bold(text)


def _entry(row: d.Directive) -> Iterator[str]:
    """One directive: its name, what it takes, what it means, its default."""
    yield ".TP"
    yield rf"\fB{roff(row.name)}\fR = {_bold(takes(row))}"
    remarks = [row.doc]
    if row.default is not None:
        remarks.append(f"Default: `{write_value(row, row.default)}`.")
    if row.dialect == d.EXTENDED:
        remarks.append("Extended.")
    yield _bold(" ".join(remarks))


def _bold(text: str) -> str:
    """Escape a text for roff, with what stands in backticks in bold."""
    return re.sub(r"`([^`]*)`", r"\\fB\1\\fR", roff(text))
