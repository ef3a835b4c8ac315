# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from pytest's log what failed and why, and decide whether a few tests are tried once more.

Tests wait for other processes and threads on machines that are not ours: another's load can fail
one. What passes alone, once more, does not stop the run, but it is not passed over in silence: the
closing table counts it as unsteady and names it, for somebody to mend.
"""

from __future__ import annotations

import re

SUMMARY = re.compile(r"^(?:FAILED|ERROR) (tests/\S+::.*)$", re.MULTILINE)
REASON = re.compile(r"^(?:E  |>  ).*$", re.MULTILINE)
REASONS = 24  # lines that a step's failures get at most
FEW = 3  # tests that another's load may fail; more are a fault
TESTS_FAILED = 1
"""pytest's exit status where it came to its end and a test failed."""


def failures(log: str) -> tuple[str, ...]:
    """What failed, from pytest's summary, then the lines that failed and why.

    Whoever sees only the end of a log still learns them: they stand behind the closing table.
    """
    failed = tuple(dict.fromkeys(SUMMARY.findall(log)))
    return (*failed, *REASON.findall(log)[:REASONS]) if failed else ()


def worth_it(status: int, log: str) -> tuple[str, ...]:
    """The names of the tests to run once more; none where too much failed, or not by a test."""
    names = tuple(dict.fromkeys(line.split(" - ")[0] for line in SUMMARY.findall(log)))
    return names if status == TESTS_FAILED and len(names) <= FEW else ()
