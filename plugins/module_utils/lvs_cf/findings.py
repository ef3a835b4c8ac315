# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a configuration: the record, its stable codes, its one-line form.

This file knows no rule of the language; the rules are in document.py, values.py and check.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

ERROR = "error"
WARNING = "warning"
ADVICE = "advice"

# Code -> what it stands for. The letter is the severity. A code never changes its meaning;
# a rule that goes away leaves its number unused.
CODES = {
    "E101": "the line is neither a statement, a block, a comment nor empty",
    "E102": "a block header has no opening brace, or the block before it no closing one",
    "E103": "a closing brace closes nothing",
    "E104": "a block header is not written as it must be",
    "E105": "unknown kind of block",
    "E106": "a quote is not closed",
    "E107": "more values than the directive takes",
    "E108": "the directive has no value",
    "E109": "a character that must not be in the file",
    "E201": "unknown directive",
    "E202": "the directive does not belong in this block",
    "E203": "the value is not of the directive's type",
    "E204": "the value is out of range",
    "E205": "the data has the wrong shape",
    "E206": "the text cannot be written in lvs.cf",
    "E301": "no primary router",
    "E302": "primary and backup are the same address",
    "E303": "deadtime is not above keepalive",
    "E304": "an active virtual server has neither address nor firewall mark",
    "E305": "two active virtual servers have the same address, port and protocol, or the same mark",
    "E306": "a real server has no address",
    "E307": "a real server stands twice in one virtual server",
    "E308": "addresses of different families that cannot work together",
    "E309": "port 0 where the kernel needs a port",
    "E310": "the synchronisation daemon's interface carries a virtual address",
    "E311": "a health check lacks what it needs",
    "E312": "a parameter of a health check cannot be used",
    "E313": "one port and several are both written",
    "E314": "one-packet scheduling for a protocol other than udp",
    "E315": "tunnel settings that do not go together",
    "E316": "a lower threshold above the upper one",
    "E317": "the scheduler does not have the flag",
    "E318": "the routers' heartbeat links do not pair up",
    "E319": "an sctp service without a check that can be made",
    "E320": "firewall marks that nobody would set",
    "E321": "a check through the virtual address that cannot be made",
    "E322": "a firewall mark that checks through the virtual address use themselves",
    "E323": "a witness that can tell a router nothing about its network",
    "E324": "a failover address that belongs to two groups",
    "E325": "a group of failover services that cannot be told",
    "E326": "heartbeats of the original's format where they cannot do",
    "W101": "the last block is not closed",
    "W102": "text after a closing brace",
    "W201": "a directive is repeated in its block",
    "W202": "a value is ignored, as the original did",
    "W203": "a value that the original read differently",
    "W204": "line ends that the original did not read as line ends",
    "W301": "no active virtual server or failover service",
    "W302": "backup_active without a backup router",
    "W303": "an active virtual server has no active real server",
    "W304": "a name is used twice",
    "W305": "a real server's address belongs to a router",
    "W306": "a server port that direct routing or tunnelling cannot use",
    "W307": "deadtime is not above keepalive, without effect while there is no backup",
    "W308": "FTP without what its data connections need",
    "W309": "an active failover service lacks its commands",
    "W310": "backup_private without primary_private",
    "W311": "a setting that this kind of health check has no use for",
    "W312": "a quorum that cannot be met",
    "W320": "a failover service that no check can watch",
    "W321": "no failover service of a group is critical, so none of them ever moves the others",
    "W322": "a failover service is started and stopped by the same command",
    "W323": "heartbeats of the original's format, which nothing protects",
    "A301": "the virtual address stands on the interface itself",
    "A302": "a setting that has no effect",
    "A303": "NAT without a floating gateway address",
    "A304": "line ends that the original did not read as line ends; they are fine here",
    "A305": "FTP by NAT, for whose data connections the kernel has to help",
    "E401": "classic: no blanks around the equals sign",
    "E402": "classic: a comment or other text behind a value",
    "E403": "classic: quotes that the original did not understand",
    "E404": "classic: a directive that the original did not know in this place",
    "E405": "classic: a value that the original refused",
    "E406": "classic: a value or device is missing",
    "E407": "classic: a block header or brace that the original refused",
    "E408": "classic: a file that the original refused as a whole",
    "E501": "on this host: a device is not there",
    "E502": "on this host: neither router's address",
    "E503": "on this host: a program is not there or cannot be run",
    "E504": "on this host: others than root could change a program",
    "E505": "on this host: the kernel lacks IPVS or a scheduler",
    "E506": "on this host: the heartbeat key cannot be used",
    "W501": "on this host: a device is down or has no carrier",
    "W502": "on this host: an address is in no network of its device",
    "W503": "on this host: an address is already on another device",
    "W504": "on this host: a real server is not in a connected network, as direct routing needs",
    "W505": "on this host: packets are not forwarded, as NAT needs",
    "W506": "on this host: the synchronisation daemon's interface has no multicast",
    "W507": "on this host: a host name cannot be resolved",
    "W508": "on this host: the program that asks for load is not there or is not safe to run",
    "W509": "on this host: answers to checks through the virtual address would be dropped",
    "W510": "on this host: the witness cannot be reached",
    "W511": "on this host: the kernel's helper for FTP's data connections is not in use",
    "A501": "on this host: something could not be looked at",
    "A502": "on this host: the witness is in a network without virtual addresses",
    "A901": "a comment silences a finding that is not there",
    "A902": "a comment to piranha cannot do what it should",
}

_SEVERITY = {"E": ERROR, "W": WARNING, "A": ADVICE}


class Finding(NamedTuple):
    """One thing to say about a configuration.

    `line` and `column` count from 1; line 0 means that it concerns no single line. `length` is
    the number of characters meant. `path` takes the place of line and column where the
    configuration came as data, for example `virtual_servers[0].weight`.
    """

    code: str
    severity: str
    line: int
    column: int
    length: int
    message: str
    remedy: str
    path: str = ""

    def sentence(self) -> str:
        """Message and remedy, without the place."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message

    def format(self, name: str = "lvs.cf") -> str:
        """`file:line:column: error: message; remedy [code]`, or with the path in data."""
        if self.path:
            place = self.path
        elif self.line:
            place = f"{name}:{self.line}:{self.column}"
        else:
            place = name
        return f"{place}: {self.severity}: {self.sentence()} [{self.code}]"


class Place(NamedTuple):
    """Where a finding points to: a line of text, or a path in data."""

    line: int = 0
    column: int = 0
    length: int = 0
    path: str = ""


NOWHERE = Place()


def severity_of(code: str) -> str:
    """The severity that a code stands for."""
    return _SEVERITY[code[0]]


def of_host(code: str) -> bool:
    """Whether a code is about the machine; such findings are only searched when asked for."""
    return code[1:2] == "5"


def finding(code: str, place: Place, message: str, remedy: str = "") -> Finding:
    """Build a finding; its severity follows from its code."""
    return Finding(
        code,
        severity_of(code),
        place.line,
        place.column,
        place.length,
        message,
        remedy,
        place.path,
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for a misspelt word: the nearest known one, or an empty string."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like this one, or an empty string when none is near."""
    return _nearest(word.lower(), tuple(known))


@lru_cache(maxsize=4096)  # a misspelt word often stands in thousands of blocks
def _nearest(word: str, known: tuple[str, ...]) -> str:
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether one of them is an error."""
    return any(found.severity == ERROR for found in findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by place; those without a line come first; equal places keep their order."""
    return sorted(findings, key=lambda found: (found.line, found.column))
