# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking rules as text for iptables-legacy-restore, and what -S tells of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piranha.marks import legacy
from piranha.marks.rules import Rule, Rules, marked

from .strategies import rules

SHOP = marked(0x50ABCDEF, "192.0.2.100", "tcp", (80, 443))
POLICIES = [f"-P {name} ACCEPT" for name in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT")]
OTHERS = [
    "-N MINE",
    "-A PREROUTING -i eth0 -j MINE",
    "-A PREROUTING -s 198.51.100.0/24 -j MARK --set-xmark 0x1/0xffffffff",
    "-A MINE -p tcp -m tcp --dport 80 -j RETURN",
]
NOTHING_OF_OURS = "\n".join([*POLICIES, *OTHERS, ""])
HOOK = "-A PREROUTING -j PIRANHA_MARKS"


def restored(listing: str, text: str) -> str:
    """What `-S` tells after `iptables-restore --noflush` took a text, by its manual page."""
    lines = listing.splitlines()
    first, *commands, last, end = text.split("\n")
    assert (first, last, end) == ("*mangle", "COMMIT", "")
    for command in commands:
        verb, chain = command.split()[:2]
        if verb.startswith(":"):
            chain = verb[1:]
            lines = [line for line in lines if not line.startswith(f"-A {chain} ")]
            if f"-N {chain}" not in lines:
                lines.insert(len(POLICIES), f"-N {chain}")
        elif verb == "-A":
            lines.append(command)
        elif verb == "-D":
            lines.remove(command.replace("-D", "-A", 1))
        elif verb == "-F":
            lines = [line for line in lines if not line.startswith(f"-A {chain} ")]
        else:
            assert verb == "-X", command
            assert not any(chain in line.split()[2:] for line in lines), "still in use"
            lines.remove(f"-N {chain}")
    return "\n".join([*lines, ""])


def of(family: str, wanted: Rules) -> Rules:
    return frozenset(rule for rule in wanted if rule.family == family)


@given(rules, rules, st.integers(0, 3))
def test_what_is_written_is_what_is_read(before: Rules, after: Rules, hooks: int) -> None:
    """From whatever is there: nothing, other rules of ours, no jump to them or several."""
    for family in legacy.PREFIX:
        here = restored(NOTHING_OF_OURS, legacy.text(of(family, before), NOTHING_OF_OURS))
        here = here.replace(f"{HOOK}\n", f"{HOOK}\n" * hooks)
        now = restored(here, legacy.text(of(family, after), here))
        found = legacy.parse(now)
        assert (found.rules, found.whole) == (of(family, after), True)
        assert [line for line in now.splitlines() if "PIRANHA" not in line] == [*POLICIES, *OTHERS]
        gone = restored(now, legacy.removal(now))
        assert gone == NOTHING_OF_OURS


def test_the_text_names_our_chain_alone() -> None:
    assert legacy.text([*SHOP, Rule("192.0.2.9", "udp", 0, 7)], NOTHING_OF_OURS) == (
        "*mangle\n"
        ":PIRANHA_MARKS - [0:0]\n"
        "-A PIRANHA_MARKS -d 192.0.2.9/32 -p udp -j MARK --set-xmark 0x7/0xffffffff\n"
        "-A PIRANHA_MARKS -d 192.0.2.100/32 -p tcp -m tcp --dport 80"
        " -j MARK --set-xmark 0x50abcdef/0xffffffff\n"
        "-A PIRANHA_MARKS -d 192.0.2.100/32 -p tcp -m tcp --dport 443"
        " -j MARK --set-xmark 0x50abcdef/0xffffffff\n"
        "-A PREROUTING -j PIRANHA_MARKS\n"
        "COMMIT\n"
    )


def test_nothing_is_taken_away_where_nothing_is() -> None:
    assert legacy.removal(NOTHING_OF_OURS) == ""
    assert legacy.parse(NOTHING_OF_OURS) == legacy.Found()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{HOOK}\n", ""),
        (f"{HOOK}\n", f"{HOOK}\n" * 2),
        (f"{HOOK}\n", "-A PREROUTING -i eth0 -j PIRANHA_MARKS\n"),
        ("--dport 80 ", "--dport 80:90 "),
        ("--set-xmark 0x50abcdef/0xffffffff", "--set-xmark 0x50abcdef/0xff"),
        ("-A PIRANHA_MARKS -d", "-A PIRANHA_MARKS -j RETURN\n-A PIRANHA_MARKS -d"),
        ("-A PIRANHA_MARKS -d", "-A PIRANHA_MARKS -i eth0 -d"),
    ],
)
def test_rules_that_somebody_changed_are_not_whole(old: str, new: str) -> None:
    there = restored(NOTHING_OF_OURS, legacy.text(SHOP, NOTHING_OF_OURS))
    before = legacy.parse(there)
    assert (before.rules, before.whole) == (SHOP, True)
    after = legacy.parse(there.replace(old, new))
    assert not after.whole
    assert after.seal != before.seal


def test_the_order_counts_since_the_last_mark_does() -> None:
    both = {Rule("192.0.2.9", "tcp", 0, 7), Rule("192.0.2.9", "tcp", 80, 8)}
    there = restored(NOTHING_OF_OURS, legacy.text(both, NOTHING_OF_OURS))
    first, second = [line for line in there.splitlines() if line.startswith("-A PIRANHA_MARKS")]
    assert "dport" in second
    swapped = there.replace(first, "x").replace(second, first).replace("x", second)
    assert not legacy.parse(swapped).whole
