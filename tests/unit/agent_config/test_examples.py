# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block marked as lvs.cf in README and the guides is one, and none is unmarked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gates.lvs_cf_examples import count, faults

ROOT = Path(__file__).parents[3]
# docs/findings.md is made of wrong pieces, each of which the tests of the library try.
PAGES = [
    path
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")]
    if path.name != "findings.md"
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_is_an_lvs_cf(path: Path) -> None:
    assert list(faults(path.read_text(encoding="utf-8"))) == []


def test_there_are_examples() -> None:
    assert sum(count(path.read_text(encoding="utf-8")) for path in PAGES) >= 10
