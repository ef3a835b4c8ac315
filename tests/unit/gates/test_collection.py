# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tarball leaves out is needed by nothing that is in it, and no tool's folder gets in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.gates import collection, stage

ROOT = Path(__file__).parents[3]


def left_out() -> set[str]:
    """Give the files below plugins/ that the tarball does without."""
    said = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    return {name for name in said if name.startswith("plugins/")}


def test_no_plugin_imports_what_the_agent_alone_has() -> None:
    names = left_out()
    assert names
    assert all((ROOT / name).is_file() for name in names)
    stems = "|".join(Path(name).stem for name in names)
    loads = re.compile(rf"(?m)^ *(from|import) .*\b(lvs_cf|[.])[. ](import )?\(?({stems})\b")
    users = {
        name
        for path in (ROOT / "plugins").rglob("*.py")
        if loads.search(path.read_text(encoding="utf-8"))
        and (name := str(path.relative_to(ROOT))) not in names
    }
    assert users == set()
    agent = ROOT / "files/piranha-agent/src"
    assert any(loads.search(path.read_text(encoding="utf-8")) for path in agent.rglob("*.py"))


def test_what_tools_leave_behind_is_swept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "STAGED", tmp_path)
    for name in ("plugins/a.py", "plugins/old.py", ".hypothesis/x/y", "tests/output/z", ".git/w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "empty/folder").mkdir(parents=True)
    stage._remove_strays({"plugins/a.py"})
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {
        *("plugins", "plugins/a.py", "tests", "tests/output", "tests/output/z", ".git", ".git/w")
    }
    assert any(each in ".hypothesis/constants" for each in collection.JUNK)
