# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config check`: name every mistake of some files, or of this host for them."""

from __future__ import annotations

import argparse
import json
import sys

from piranha.core.lvs_cf.api import CLASSIC, EXTENDED, Loaded
from piranha.core.lvs_cf.findings import ADVICE, ERROR, Finding, in_order, of_host
from piranha.core.lvs_cf.silence import heed

from .terminal import (
    ERRORS,
    FINE,
    UNREADABLE,
    Unreadable,
    complain,
    load_file,
    print_findings,
    summary,
)


def run(arguments: argparse.Namespace) -> int:
    """0 fine or warnings only, 1 errors, 2 a file cannot be read; the worst file counts."""
    status = FINE
    report: list[dict[str, object]] = []
    for name in arguments.files:
        try:
            loaded = load_file(name, CLASSIC if arguments.classic else EXTENDED)
        except Unreadable as why:
            status = UNREADABLE
            complain(str(why))
            report.append({"file": name, "findings": [], "unreadable": str(why)})
            continue
        findings = list(loaded.findings)
        if arguments.on_this_host:
            findings = in_order(findings + host_findings(loaded))
        bad = any(
            found.severity == ERROR or (arguments.strict and found.severity != ADVICE)
            for found in findings
        )
        status = max(status, ERRORS if bad else FINE)
        if arguments.json:
            report.append({"file": name, "findings": [as_data(found) for found in findings]})
        else:
            print_findings(loaded, findings, sys.stdout)
            print(f"{loaded.name}: {summary(findings)}")
    if arguments.json:
        print(json.dumps(report, indent=2))
    return status


def host_findings(loaded: Loaded) -> list[Finding]:
    """What on this machine does not go with a configuration, as far as no comment silences it."""
    from piranha.core.lvs_cf.host import check_host, questions

    from . import host_facts

    facts = host_facts.gather(questions(loaded.config))
    return heed(loaded.document, check_host(loaded.config, facts), of_host)


def as_data(found: Finding) -> dict[str, object]:
    """A finding for JSON; `path` is for findings in data, which have no line."""
    data = found._asdict()
    del data["path"]
    return data
