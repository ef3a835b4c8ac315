# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/config.md shows is what the commands print."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from piranha.cli import main
from piranha.core.lvs_cf.api import load

PAGE = (Path(__file__).parents[3] / "docs/config.md").read_text(encoding="utf-8")
FILE = re.findall(r"^```lvs\.cf\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
EXAMPLES = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_prints_what_the_page_shows(
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "web.cf").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    shown = ""
    for line in example.splitlines(keepends=True):
        if not line.startswith("$ "):
            continue
        shown += line
        words = shlex.split(line[2:])
        if words[0] == "piranha":
            main(words[1:])
            shown += capsys.readouterr().out
        else:
            sed, source, _arrow, target = words[:2], words[2], words[3], words[4]
            done = subprocess.run(
                [*sed, source], capture_output=True, text=True, check=True, timeout=30
            )
            Path(target).write_text(done.stdout)
    assert shown == example


def test_the_silencing_comment_of_the_page_works() -> None:
    (comment,) = re.findall(r"# piranha: ignore=A301 .*", PAGE)[:1]
    text = FILE.replace("shceduler", "scheduler")
    assert [found.code for found in load(text).findings] == ["A301"]
    assert load(text.replace(" eth0", f" eth0 {comment}")).findings == []
