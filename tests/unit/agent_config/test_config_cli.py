# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config check | show | format`, from its arguments to output and exit status."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from piranha.cli import main
from piranha.core.lvs_cf.api import load

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "tests/unit/plugins/module_utils/lvs_cf/data/cluster.cf"

BAD = """\
primary = 192.0.2.1
virtual web {
\tactive = 1
\taddress = 192.0.2.80 eth0:1
\tshceduler = rr
\tserver one {
\t\taddress = 198.51.100.11
\t\tactive = 1
\t\tweight = heavy
\t}
}
"""


@pytest.fixture
def bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.cf"
    path.write_text(BAD)
    return str(path)


def test_a_good_file_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(CLUSTER)]) == 0
    assert capsys.readouterr().out == f"{CLUSTER}: fine\n"


def test_every_mistake_is_shown_with_its_line(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", bad]) == 1
    assert capsys.readouterr().out == (
        f"{bad}: advice: NAT without nat_router: the real servers' gateway does not move with a"
        " takeover; add `nat_router = ADDRESS DEVICE` [A303]\n"
        f"{bad}:5:2: error: unknown directive `shceduler`; did you mean `scheduler`? [E201]\n"
        "    \tshceduler = rr\n"
        "    \t^~~~~~~~~\n"
        f"{bad}:9:12: error: `weight` takes a whole number, not `heavy`;"
        " for example `weight = 1` [E203]\n"
        "    \t\tweight = heavy\n"
        "    \t\t         ^~~~~\n"
        f"{bad}: 2 errors, 1 advice\n"
    )


def test_warnings_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text("primary = 192.0.2.1\n")
    assert main(["config", "check", str(path)]) == 0
    assert capsys.readouterr().out.endswith(": 1 warning\n")


def test_a_file_that_cannot_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.cf"
    for words in (["check"], ["show"], ["format"]):
        assert main(["config", *words, str(missing)]) == 2
        assert capsys.readouterr().err == (
            f"piranha: cannot read {missing}: No such file or directory; check path and rights\n"
        )


def test_the_worst_of_several_files_counts(
    bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", bad, str(CLUSTER)]) == 1
    assert main(["config", "check", str(tmp_path), bad]) == 2
    capsys.readouterr()
    assert main(["config", "check", "--json", str(CLUSTER), bad]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in report] == [str(CLUSTER), bad]
    assert report[0]["findings"] == []
    assert report[1]["findings"][1] == {
        "code": "E201",
        "severity": "error",
        "line": 5,
        "column": 2,
        "length": 9,
        "message": "unknown directive `shceduler`",
        "remedy": "did you mean `scheduler`?",
    }


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_only(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["config", "check", bad])
    assert "\x1b[1;31merror:\x1b[0m unknown directive" in shown.getvalue()
    assert "    \t\x1b[4mshceduler\x1b[0m = rr\n" in shown.getvalue()
    plain = Terminal()
    monkeypatch.setattr(sys, "stdout", plain)
    monkeypatch.setenv("NO_COLOR", "1")
    main(["config", "check", bad])
    assert "\x1b" not in plain.getvalue()
    assert "^~~~~" in plain.getvalue()


def test_show_says_what_the_file_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", str(CLUSTER)]) == 0
    shown = capsys.readouterr().out
    lines = [line.strip() for line in shown.splitlines()]
    assert "keepalive = 6" in lines
    assert "# nat_nmask is not set" in lines
    assert "syncd_id = 0                                    # default" in lines
    assert load(shown).config == load(CLUSTER.read_text()).config


def test_show_as_json_has_the_data_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json", str(CLUSTER)]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["global"]["deadtime"] == 18
    assert data["virtual"][0]["servers"][0]["address"] == "198.51.100.2"
    assert data["failover"][0]["name"] == "web1"


def test_show_of_a_broken_file_says_so(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", bad]) == 1
    both = capsys.readouterr()
    assert "did you mean `scheduler`?" in both.err
    assert "virtual web {" in both.out


def test_format_prints_even_layout_and_refuses_errors(
    bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lvs.cf"
    path.write_bytes(b"\xef\xbb\xbfprimary=192.0.2.1 # first\r\n\r\n\r\n# end\r\n")
    assert main(["config", "format", str(path)]) == 0
    assert capsys.readouterr().out == "primary = 192.0.2.1  # first\n\n# end\n"
    assert main(["config", "format", bad]) == 1
    both = capsys.readouterr()
    assert both.out == ""
    assert "[E201]" in both.err


def test_bytes_that_are_no_text_are_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lvs.cf"
    path.write_bytes(b"primary = 192.0.2.1\n# \xff\xfe\nvirtual \xff\xff {\n\xfe = 1\n}\n")
    for words in (["check"], ["check", "--json"], ["show"], ["show", "--json"]):
        assert main(["config", *words, str(path)]) == 1
    assert "unknown directive" in capsys.readouterr().out


def test_it_needs_the_standard_library_only(bad: str) -> None:
    """-S leaves out every installed package."""
    command = [sys.executable, "-S", "-B", "-m", "piranha", "config", "check", bad]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(ROOT / "files/piranha-agent/src")},
    )
    assert (done.returncode, done.stderr) == (1, "")
