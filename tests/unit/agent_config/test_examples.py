# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block marked as lvs.cf in README and the guides is one, with no error but those it shows.

The gate of examples does the same and more; here it comes with each change.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gates.lvs_cf_examples import count, faults

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_the_blocks_of_a_page_are_lvs_cf(page: Path) -> None:
    if page.name == "findings.md":
        return  # made of examples that are wrong, each compared by the script that makes it
    assert list(faults(page.read_text(encoding="utf-8"))) == []


def test_there_are_blocks() -> None:
    assert sum(count(page.read_text(encoding="utf-8")) for page in PAGES) >= 4
    assert list(faults("```lvs.cf\nshceduler = rr\n```\n"))
