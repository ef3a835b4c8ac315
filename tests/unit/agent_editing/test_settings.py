# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of page and editor, their manual page, the folder of programs, and who imports what."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from piranha import page_manual
from piranha.cli import parser
from piranha.editing import inventory, scripts
from piranha.editing.settings import Settings, SettingsError, load, read
from piranha.gui.protocol import OPERATE

SOURCES = Path(page_manual.__file__).parents[1]
PAGE_ONLY = ("starlette", "uvicorn", "jinja2", "markupsafe", "anyio", "h11", "click", "idna")


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path / "absent") == read("{}") == Settings()
    assert Settings().ceiling == OPERATE
    assert Settings().address == "127.0.0.1"
    assert read('{"port": 4000, "ceiling": "edit"}').port == 4000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not a mapping"),
        ('{"colour": 1}', "there is no setting 'colour'; known: ceiling"),
        ('{"port": "3636"}', "port must be a number, not '3636'"),
        ('{"port": true}', "port must be a number"),
        ('{"port": 0}', "port must be 1 to 65535"),
        ('{"ceiling": "root"}', "ceiling must be one of view, operate, edit"),
        ('{"edit_managed": "no"}', "edit_managed must be a true or false"),
        ('{"certificate": "/a"}', "belong together"),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as why:
        read(text, "gui.json")
    assert str(why.value).startswith("gui.json: ")


def test_the_manual_knows_every_setting_and_reads_well() -> None:
    assert set(page_manual.SETTINGS) == {field.name for field in fields(Settings)}
    for text in (page_manual.gui("1"), page_manual.passwd(parser(), "1")):
        done = subprocess.run(
            ["groff", "-man", "-ww", "-Tutf8"], input=text.encode(), capture_output=True, check=True
        )
        assert done.stderr == b""
        assert len(done.stdout.splitlines()) > 30


def test_only_what_is_roots_alone_may_be_chosen(tmp_path: Path) -> None:
    trusted = frozenset({0, os.getuid()})
    folder = tmp_path / "scripts"
    assert scripts.offered(folder, trusted) == []
    folder.mkdir()
    for name, mode in (("good", 0o755), ("group", 0o775), ("all", 0o757), ("plain", 0o644)):
        (folder / name).write_text("")
        (folder / name).chmod(mode)
    (folder / "link").symlink_to("/bin/sh")
    (folder / "folder").mkdir()
    (folder / "a name").write_text("")
    (folder / "a#name").write_text("")
    found = {Path(one.path).name: one.why_not for one in scripts.offered(folder, trusted)}
    assert found == {
        "good": "",
        "group": "can be written by others",
        "all": "can be written by others",
        "plain": "is not executable",
        "link": "is not a plain file",
        "folder": "is not a plain file",
        "a name": "its name has characters that cannot stand in lvs.cf without quotes",
        "a#name": "its name has characters that cannot stand in lvs.cf without quotes",
    }
    nobody = frozenset({-1})
    assert not [one for one in scripts.offered(folder, nobody) if one.fit]
    folder.chmod(0o777)
    assert not [one for one in scripts.offered(folder, trusted) if one.fit]
    folder.chmod(0o755)
    (tmp_path / "other").symlink_to("scripts")
    assert not [one for one in scripts.offered(tmp_path / "other", trusted) if one.fit]


@pytest.mark.parametrize("value", ["{{ lookup('pipe', 'id') }}", "a {% b", "{#", "x{{"])
def test_yaml_for_the_inventory_runs_nothing_on_the_controller(value: str) -> None:
    assert inventory.scalar(value).startswith('!unsafe "')
    assert inventory.scalar("plain: 'x' \" #") == '"plain: \'x\' \\" #"'


def test_nothing_else_of_the_agent_imports_what_the_page_needs() -> None:
    """Each of the router's processes, with every module that it can ever load."""
    code = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise AssertionError(f"{name} is imported")
sys.meta_path.insert(0, Forbidden())
import piranha, pkgutil, importlib
for module in pkgutil.walk_packages(piranha.__path__, "piranha."):
    own = module.name.split(".")[1]
    if own != "gui" and not module.name.startswith("piranha.core"):
        importlib.import_module(module.name)
import piranha.gui.protocol, piranha.gui.accounts
from piranha.cli import parser
parser()
print(len(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, ",".join(PAGE_ONLY)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert int(done.stdout) > 200
