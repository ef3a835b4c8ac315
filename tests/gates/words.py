# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the house that a pattern can see, over every tracked file.

Each rule: where it holds, what must not stand there, and what to do instead. The patterns are
written so that they do not match themselves. What needs understanding of Python stands in
shape.py; what ruff, ansible-lint and ansible-test know already is left to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .machine import ROOT, main_guarded, say
from .stage import tracked_files


@dataclass(frozen=True)
class Rule:
    """``where`` matches paths, ``never`` matches lines, ``instead`` is the remedy."""

    where: str
    never: str
    what: str
    instead: str
    first_line_only: bool = False


EVERYWHERE = r""
YAML = r"^(roles|playbooks|molecule|inventories|extensions)/.*\.ya?ml$|^[^/]*\.ya?ml$"
PYTHON = r"\.py$|^tests/lab/[^/.]+$"
SHIPPED = r"^(plugins|files/piranha-agent|roles)/"

RULES = (
    Rule(
        EVERYWHERE,
        r"\b(py[p]i\.org|python[h]osted\.org|npm[j]s\.(org|com)|crates[.]io|proxy\.golang[.]org)",
        "names a package registry's host",
        "say `the package registry`",
    ),
    Rule(
        EVERYWHERE,
        r"(?<![\w.-])(/wor[k]/|/opt/(wheel[s]|pyp[i])|/roo[t]/\.(pyen[v]|carg[o]|confi[g]))",
        "names a path of one machine",
        "use a path relative to the checkout",
    ),
    Rule(
        YAML,
        # Not the option of the module `user` that gives an account no login shell.
        r"^\s*(-\s+)?(ansible\.(builtin|legacy)\.)?(shel[l]|raw):(?! /usr/sbin/nologin$)",
        "runs a shell on a target",
        "use a module, or ansible.builtin.command with argv",
    ),
    Rule(
        PYTHON,
        r"shell\s*=\s*Tru[e]|os\.(syste[m]|pope[n])\(",
        "runs a shell",
        "give subprocess a list of arguments",
    ),
    Rule(
        SHIPPED,
        # Not where a unit makes it read-only.
        r"""(?<![\w./-])/(var/)?tm[p](?![\w-]|:ro\b)""",
        "uses the folder that everybody may write to",
        "write beside the target and rename, or use /run/piranha",
    ),
    Rule(
        EVERYWHERE,
        r"^#!(?!/bin/sh$|/bin/bash -eux?$|/usr/bin/python$|/usr/bin/env (bash|python)$)",
        "begins with an interpreter that ansible-test refuses",
        "be run by `python3 FILE`, or let a file for /bin/sh start it (tests/lab/in-ipvs-kernel)",
        first_line_only=True,
    ),
    Rule(
        EVERYWHERE,
        r"^(<{7}|>{7})( |$)",
        "holds an unresolved merge",
        "resolve it",
    ),
)


def findings() -> Iterator[str]:
    """One sentence a place where a rule is broken."""
    compiled = [(rule, re.compile(rule.where), re.compile(rule.never)) for rule in RULES]
    for name in tracked_files():
        try:
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # not a text
        for rule, where, never in compiled:
            if not where.search(name):
                continue
            for number, line in enumerate(lines[:1] if rule.first_line_only else lines, start=1):
                if never.search(line):
                    yield f"{name}:{number}: {rule.what}; {rule.instead}"


def main() -> int:
    """Print the findings; 1 if there are any."""
    found = list(findings())
    for finding in found:
        say(finding)
    say(f"{len(RULES)} rules, {len(tracked_files())} files, {len(found)} findings")
    return int(bool(found))


if __name__ == "__main__":
    main_guarded(main)
