# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image's recipe, and the package sources taken from this host's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.piranha_lab import image
from tests.lab.piranha_lab.errors import LabError

DEB822 = """\
# a comment
Types: deb
URIs: http://one.test/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
Enabled: no
URIs: http://two.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://three.test/debian
Suites: bookworm
Components: main
"""


def test_sources_of_the_suite_alone() -> None:
    assert image.sources({"debian.sources": DEB822}, "bookworm") == [
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://one.test/debian bookworm main",
        "deb [signed-by=/usr/share/keyrings/debian.gpg] "
        "http://one.test/debian bookworm-updates main",
    ]


def test_one_line_sources() -> None:
    text = """\
deb http://one.test/debian bookworm main  # the archive
#deb http://no.test/debian bookworm main
deb-src http://one.test/debian bookworm main
deb http://one.test/debian-security bookworm-security main
deb https://cloud.test/x cloud-bookworm main
"""
    assert image.sources({"sources.list": text}, "bookworm") == [
        "deb http://one.test/debian bookworm main",
        "deb http://one.test/debian-security bookworm-security main",
    ]


def test_no_source_is_told_with_the_place() -> None:
    with pytest.raises(LabError, match=r"no apt source of this host offers trixie: see /etc/apt"):
        image.sources({"debian.sources": DEB822}, "trixie")


def test_suite_of_this_host() -> None:
    assert image.suite_of('ID=debian\nVERSION_CODENAME=bookworm\nNAME="x"\n') == "bookworm"
    assert image.suite_of('VERSION_CODENAME="trixie"\nID="debian"\n') == "trixie"
    with pytest.raises(LabError, match=r"this host is no Debian\. Remedy:"):
        image.suite_of("ID=fedora\n")


def test_our_recipe_and_that_a_change_makes_another_image() -> None:
    recipe = image.read_recipe(image.RECIPE, "bookworm")
    assert "nginx-light" in recipe.packages
    assert recipe.digest != image.read_recipe(image.RECIPE, "trixie").digest
    assert recipe.digest == image.read_recipe(image.RECIPE, "bookworm").digest


def test_a_broken_recipe_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "image.yml"
    path.write_text("packages: systemd\n")
    with pytest.raises(LabError, match=r"image\.yml: packages must be a list of words\."):
        image.read_recipe(path, "bookworm")


def test_cache_is_where_the_user_wants_it() -> None:
    assert image.cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/piranha-lvs")
    assert image.cache_folder({"HOME": "/home/x"}) == Path("/home/x/.cache/piranha-lvs")
