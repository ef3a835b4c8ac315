# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes that others made, one test each: keepalived's CVE-2018-19044 to 19046, 2021-44225.

The first three: data files in /tmp were written through links that somebody had put there, with a
mode that let everybody write, and into files that somebody had made before and held open. The last:
any user could change properties of the daemon over D-Bus.
"""

from __future__ import annotations

import ast
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from piranha import files
from piranha.control.protocol import CHANGES
from piranha.core.ipvs.model import ServiceKey
from piranha.fos import record
from piranha.lvsd.kept import Kept
from piranha.lvsd.overrides import Rules
from piranha.lvsd.owned import Owned
from piranha.pulse import ledger, settings

from .test_supervisor import Pulse, pulse

__all__ = ["pulse"]  # the fixture

SOURCES = Path(settings.__file__).parents[1]
CONFIG = (
    "primary = 192.0.2.1\nbackup = 192.0.2.2\nbackup_active = 1\nservice = lvs\nnetwork = nat\n"
)


def put_in_force(folder: Path) -> None:
    source = folder.parent / "source.cf"
    source.write_text(CONFIG, encoding="utf-8")
    settings.put_in_force(settings.load(source), folder / "lvs.cf")


WRITERS: dict[str, Callable[[Path], object]] = {
    "owned.json": lambda folder: Owned(folder).save({ServiceKey.by_mark(7)}),
    "overrides.json": lambda folder: Kept(folder).save(Rules()),
    "addresses.json": lambda folder: ledger.write_addresses(folder, [], True),
    record.FILE: lambda folder: record.write(folder, [], 0.0),
    "lvs.cf": put_in_force,
    "any.json": lambda folder: files.replace(folder / "any.json", "{}\n"),
}
"""What the agent writes -> how."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which somebody else was first, and a mask that takes no right away."""
    made = tmp_path / "run"
    made.mkdir()
    before = os.umask(0)
    yield made
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
def test_cve_2018_19044_no_link_is_followed(folder: Path, name: str) -> None:
    victim = folder.parent / "victim"
    victim.write_text("precious", encoding="utf-8")
    for planted in (name, f".{name}.new", f"{name}.new", f"{name}.tmp", f".{name}.tmp"):
        (folder / planted).symlink_to(victim)
    WRITERS[name](folder)
    assert victim.read_text(encoding="utf-8") == "precious"
    written = folder / name
    assert not written.is_symlink()
    assert written.stat().st_size > 0


@pytest.mark.parametrize("name", WRITERS)
def test_cve_2018_19045_nobody_else_may_read_or_write(folder: Path, name: str) -> None:
    WRITERS[name](folder)
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_cve_2018_19046_what_was_there_is_not_written_into(folder: Path, name: str) -> None:
    """Whoever made the file before, and holds it open, sees nothing of what is written."""
    places = [folder / name, folder / f".{name}.new"]
    for place in places:
        place.write_text("", encoding="utf-8")
        place.chmod(0o666)
    held = [place.open(encoding="utf-8") for place in places]
    try:
        WRITERS[name](folder)
        assert [file.read() for file in held] == ["", ""]
    finally:
        for file in held:
            file.close()
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def _calls() -> Iterator[tuple[str, str, str]]:
    """Each call that can make a file: where (file and function), what, and how."""
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{path.relative_to(SOURCES)}:{function.name}"
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        yield place, ast.unparse(node.func), ast.unparse(node)


MAKERS = {
    "files.py:replace",
    "pulse/supervisor.py:_lock",  # opened and never written
    "pulse/alone.py:run",
    "config/formatting.py:replace",  # config format, by hand: the user's own file
}
"""The only functions that make files; all but the last two are among WRITERS."""


def test_cve_2018_1904x_no_other_place_makes_files_and_none_in_a_folder_for_all() -> None:
    makers = set()
    for place, called, whole in _calls():
        makes = (
            called.endswith(
                ("write_text", "write_bytes", "mkstemp", "mkdtemp", "NamedTemporaryFile")
            )
            or (called.endswith("open") and ("O_CREAT" in whole or "flags" in whole))
            or (called.endswith("open") and any(f"'{mode}" in whole for mode in "wax"))
        )
        # A kernel's setting is no file.
        if makes and "/proc/" not in whole and "dup2" not in whole:
            makers.add(place)
        if called.startswith("tempfile."):
            assert "dir=" in whole, f"{place} makes a file in a folder that everybody may write to"
    assert makers <= MAKERS, makers - MAKERS
    assert makers >= MAKERS, MAKERS - makers
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("/tmp", "/var/tmp", "/dev/shm")), path  # noqa: S108


STRANGER = """\
import json, os, socket, sys
os.chdir(sys.argv[1])  # the folders above are root's alone in this test
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
try:
    sock.connect("control.sock")
except PermissionError:
    print(json.dumps("kept out")); raise SystemExit
answers = {}
lines = sock.makefile()
for do in sys.argv[3].split(","):
    sock.sendall(json.dumps({"id": 1, "do": do, "with": {"uid": 0}, "uid": 0}).encode() + b"\\n")
    answers[do] = json.loads(lines.readline())["ok"]
print(json.dumps(answers))
"""


def test_cve_2021_44225_a_user_changes_nothing(pulse: Pulse) -> None:
    """Others cannot even connect; root's group may look; whatever changes something is root's."""
    pulse.up()
    asked = ",".join(["version", *sorted(CHANGES)])

    def stranger(group: int) -> object:
        argv = [sys.executable, "-c", STRANGER, str(pulse.run_dir), str(group), asked]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert stranger(65534) == "kept out"
    assert stranger(0) == {"version": True, **dict.fromkeys(CHANGES, False)}
    assert stat.S_IMODE((pulse.run_dir / "control.sock").stat().st_mode) == 0o660
