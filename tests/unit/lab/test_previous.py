# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release comes before this one, and what is said where this clone does not have it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import previous


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two commits."""
    monkeypatch.setattr(previous, "ROOT", tmp_path)
    git(tmp_path, "init", "--quiet")
    for text in ("older", "newer"):
        (tmp_path / "file").write_text(text, encoding="utf-8")
        git(tmp_path, "add", "file")
        git(tmp_path, "commit", "--quiet", "--message", text)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    """Run git as somebody."""
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", "-C", str(folder), *somebody, *words], check=True, timeout=30)


def test_the_previous_release_is_the_newest_tag_before_this_commit(clone: Path) -> None:
    git(clone, "tag", "v0.1.0", "HEAD^")
    git(clone, "tag", "v0.2.0")
    git(clone, "tag", "no-release", "HEAD^")
    assert previous.previous() == "v0.1.0"


def test_as_long_as_nothing_was_released_it_is_the_one_that_is_named(clone: Path) -> None:
    assert previous.previous() == previous.UNRELEASED


@pytest.mark.usefixtures("clone")
def test_a_clone_without_it_is_told_so_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(previous.PreviousError) as caught:
        previous.make(tmp_path / "made")
    said = str(caught.value)
    assert said.startswith(f"{tmp_path} does not have {previous.UNRELEASED}, the release before")
    assert "git fetch --unshallow --tags" in said
    assert "\n" not in said


def test_no_git_and_no_clone_are_told_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previous, "ROOT", tmp_path)
    with pytest.raises(previous.PreviousError, match="not a git repository"):
        previous.make(tmp_path / "made")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(previous.PreviousError, match="git is not installed"):
        previous.make(tmp_path / "made")
