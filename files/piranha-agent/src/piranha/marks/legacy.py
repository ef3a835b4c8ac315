# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking rules as iptables-legacy has them: text for its restore program, and what -S tells.

Pure. For kernels without nftables. All is in one chain of our own in the table mangle, with one
jump to it from PREROUTING; nothing else is named, so that rules of others stay as they are. IPv4
and IPv6 are two worlds with a program each.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from .rules import EVERY_PORT, Found, Rule, ordered

CHAIN = "PIRANHA_MARKS"
HOOK = f"-A PREROUTING -j {CHAIN}"
PREFIX = {"ipv4": "iptables", "ipv6": "ip6tables"}
_LENGTH = {"ipv4": 32, "ipv6": 128}

LIST = ("-w", "3", "-t", "mangle", "-S")
LOAD = ("-w", "3", "--noflush")

_RULE = re.compile(
    rf"-A {CHAIN} -d (?P<address>[0-9a-f.:]+)/(?:32|128) -p (?P<protocol>tcp|udp|sctp)"
    r"(?: -m (?P=protocol) --dport (?P<port>\d+))? -j MARK --set-xmark (?P<mark>0x[0-9a-f]+)"
    r"/0xffffffff"
)


def lines(rules: Iterable[Rule]) -> list[str]:
    """Give rules of one family as -S shows them, in the order in which they have to stand."""
    made = []
    for rule in ordered(rules):
        where = f"-d {rule.address}/{_LENGTH[rule.family]} -p {rule.protocol}"
        if rule.port != EVERY_PORT:
            where += f" -m {rule.protocol} --dport {rule.port}"
        made.append(f"-A {CHAIN} {where} -j MARK --set-xmark {rule.mark:#x}/0xffffffff")
    return made


def text(rules: Iterable[Rule], listing: str) -> str:
    """Give the input of `--noflush` that makes our chain have `rules`, in one transaction.

    listing: what -S tells now, since the jump to our chain must be there once.
    """
    hooks = listing.splitlines().count(HOOK)
    # The jump goes behind those of others: what IPVS gets to see is the last mark.
    hook = [HOOK] if hooks == 0 else [HOOK.replace("-A", "-D", 1)] * (hooks - 1)
    # To name a chain of one's own is to empty it.
    return "\n".join(["*mangle", f":{CHAIN} - [0:0]", *lines(rules), *hook, "COMMIT", ""])


def removal(listing: str) -> str:
    """Give the input that takes all of ours away; empty where nothing is there."""
    present = listing.splitlines()
    unhook = [HOOK.replace("-A", "-D", 1)] * present.count(HOOK)
    if f"-N {CHAIN}" not in present:
        return ""
    return "\n".join(["*mangle", *unhook, f"-F {CHAIN}", f"-X {CHAIN}", "COMMIT", ""])


def parse(listing: str) -> Found:
    """Read what -S tells of the table mangle."""
    present = listing.splitlines()
    ours = [line for line in present if line.startswith(f"-A {CHAIN} ")]
    hooks = present.count(HOOK)
    if f"-N {CHAIN}" not in present:
        return Found()
    read = [_rule(found) for line in ours if (found := _RULE.fullmatch(line))]
    whole = hooks == 1 and ours == lines(read)
    return Found(frozenset(read), whole, "\n".join([str(hooks), *ours]))


def _rule(found: re.Match[str]) -> Rule:
    return Rule(
        str(ipaddress.ip_address(found["address"])),
        found["protocol"],
        int(found["port"] or EVERY_PORT),
        int(found["mark"], 16),
    )
