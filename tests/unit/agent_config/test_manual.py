# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages are clean roff, whole, and their example is a good lvs.cf."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from piranha.cli import INSTALLED, main
from piranha.config import manual
from piranha.core.lvs_cf import directives as d
from piranha.core.lvs_cf.api import load

PAGES = {"piranha": 8, "lvs.cf": 5}


def shown(path: Path) -> subprocess.CompletedProcess[str]:
    """What groff prints of a page, and what it has to remark; man itself keeps that to itself."""
    return subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_groff_has_nothing_to_remark(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["manual", page]) == 0
    text = capsys.readouterr().out
    assert text.isascii()
    path = tmp_path / f"{page}.{PAGES[page]}"
    path.write_text(text, encoding="utf-8")
    done = shown(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{page.upper()}({PAGES[page]})" in done.stdout
    assert len(done.stdout.splitlines()) > 200


def test_groff_would_remark_something(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    path = tmp_path / "wrong.8"
    path.write_text(".TH WRONG 8\n.SH NAME\nwrong \\- wrong\n.NOSUCHMACRO x\n", encoding="utf-8")
    assert "NOSUCHMACRO" in shown(path).stderr


def test_the_page_has_every_directive_of_every_block() -> None:
    text = manual.page("1")
    blocks = re.split(r"^\.SH .*\n", text, flags=re.MULTILINE)
    titles = re.findall(r"^\.SH (.*)", text, re.MULTILINE)
    for where, title in (
        (d.GLOBAL, "GLOBAL DIRECTIVES"),
        (d.VIRTUAL, "VIRTUAL AND FAILOVER BLOCKS"),
        (d.SERVER, "SERVER BLOCKS"),
    ):
        found = re.findall(r"^\.TP\n\\fB(\S+)\\fR = ", blocks[titles.index(title) + 1], re.M)
        assert found == [row.name for row in d.DIRECTIVES if row.where == where]


def test_its_example_is_right() -> None:
    assert load(manual.EXAMPLE).findings == []


def test_the_page_about_the_commands_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    main(["manual"])
    assert capsys.readouterr().out.startswith(".TH PIRANHA 8 ")


def test_all_of_it_goes_where_man_and_bash_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["manual", "--install", str(tmp_path)]) == 0
    texts = []
    for page in INSTALLED:
        main(["completion"] if page.startswith("completion") else ["manual", page])
        texts.append(capsys.readouterr().out)
    names = INSTALLED.values()
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in names] == texts
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in names} == {0o644}


def test_a_place_where_nothing_can_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "man").write_text("no folder", encoding="utf-8")
    assert main(["manual", "--install", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "Not a directory" in said or "File exists" in said
    assert "Traceback" not in said
