# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""in-ipvs-kernel: its command line and the job it hands over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.piranha_lab import host, ipvs_kernel
from tests.lab.piranha_lab import lab as whole_lab


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([], "no command given; for example: in-ipvs-kernel ipvsadm -Ln"),
        (["--timeout", "-1", "true"], "--timeout -1 is not a time; give seconds above 0"),
        (["--mem", "much", "true"], "--mem much is not a size; write for example 512M or 1G"),
    ],
)
def test_wrong_use_is_one_sentence(line: list[str], complaint: str,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        ipvs_kernel.parse(line)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_options_of_the_command_are_its_own() -> None:
    asked = ipvs_kernel.parse(["--timeout", "5", "ls", "--mem", "-l"])
    assert asked.command == ("ls", "--mem", "-l")
    assert asked.timeout == 5
    assert ipvs_kernel.parse(["--", "ls", "--", "-l"]).command == ("ls", "--", "-l")


def test_job_carries_every_word_and_variable_as_it_is(tmp_path: Path) -> None:
    script = ipvs_kernel.job_script(
        ["printf", "%s|", "a b", "$X", "'\"", "*", "new\nline"], {"X": "1", "Y": "it's $X"},
        str(tmp_path))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "a b|$X|'\"|*|new\nline|"
    script = ipvs_kernel.job_script(["sh", "-c", 'printf %s "$Y:$PWD:$HOME"'],
                                    {"X": "1", "Y": "it's $X", "PATH": "/bin:/usr/bin"},
                                    str(tmp_path))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"it's $X:{tmp_path}:"


def test_host_is_read_only_and_nothing_outlives_us() -> None:
    line = ipvs_kernel.uml_command(Path("/b/job"), "1G", tty=False)
    assert "ro" in line
    assert "rw" not in line
    assert line[:3] == ["setpriv", "--pdeathsig", "KILL"]
    assert "--kill-child=KILL" in line


def test_every_program_needed_has_its_package_in_the_list() -> None:
    text = (whole_lab.LAB / "packages.txt").read_text()
    listed = {line.split()[0] for line in text.splitlines()
              if line.strip() and not line.startswith("#")}
    assert set(ipvs_kernel.NEEDED.values()) | {"user-mode-linux"} <= listed


def test_folder_of_a_dead_job_is_swept_but_not_that_of_a_living(tmp_path: Path) -> None:
    import fcntl

    for name in ("dead", "alive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
    with (tmp_path / "alive/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ipvs_kernel.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["alive"]


def test_write_leaves_no_wider_mode_and_no_temporary_file(tmp_path: Path) -> None:
    host.write(tmp_path / "secret", "x", 0o600)
    host.write(tmp_path / "secret", "y", 0o600)
    assert (tmp_path / "secret").read_text() == "y"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]


def test_a_failing_program_is_told_with_its_last_words() -> None:
    with pytest.raises(host.LabError, match=r"^failed \(3\): sh -c .*: the reason$"):
        host.run(["sh", "-c", "echo other >&2; echo the reason >&2; exit 3"])
    with pytest.raises(host.LabError, match=r"^no-such-program is not installed; see:"):
        host.run(["no-such-program"])
