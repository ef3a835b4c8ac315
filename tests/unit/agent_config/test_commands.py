# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config format | diff | explain`, standard input, and what help and completion offer."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from piranha.cli import main, parser
from piranha.cli_docs import completion, manual
from piranha.config import formatting
from piranha.core.lvs_cf.api import load
from piranha.core.lvs_cf.findings import CODES

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "tests/unit/plugins/module_utils/lvs_cf/data/cluster.cf"
UNTIDY = "primary=192.0.2.1 # first\n\n\n\nkeepalive = 1"
TIDY = "primary = 192.0.2.1  # first\n\nkeepalive = 1\n"


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    path = tmp_path / "lvs.cf"
    path.write_text(UNTIDY)
    return path


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


Output = pytest.CaptureFixture[str]


def test_format_writes_in_place_once(untidy: Path, capsys: Output) -> None:
    untidy.chmod(0o640)
    assert main(["config", "format", "--write", str(untidy), str(untidy)]) == 0
    assert capsys.readouterr().out == f"changed {untidy}\n"
    assert untidy.read_text() == TIDY
    assert untidy.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in untidy.parent.iterdir()] == ["lvs.cf"]


def test_format_writes_through_a_link(untidy: Path) -> None:
    link = untidy.with_name("link.cf")
    link.symlink_to(untidy)
    assert main(["config", "format", "-w", str(link)]) == 0
    assert link.is_symlink()
    assert untidy.read_text() == TIDY


def test_a_write_that_fails_leaves_the_file_and_nothing_else(
    untidy: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formatting.os, "fsync", full)
    assert main(["config", "format", "--write", str(untidy)]) == 2
    assert "No space left on device; it is as it was" in capsys.readouterr().err
    assert untidy.read_text() == UNTIDY
    assert [path.name for path in untidy.parent.iterdir()] == ["lvs.cf"]


def test_format_check_and_diff_change_nothing(untidy: Path, capsys: Output) -> None:
    assert main(["config", "format", "--check", str(untidy), str(CLUSTER)]) == 1
    assert capsys.readouterr().out == f"would change {untidy}\nwould change {CLUSTER}\n"
    assert main(["config", "format", "--diff", str(untidy)]) == 1
    shown = capsys.readouterr().out
    assert "-primary=192.0.2.1 # first\n-\n-\n+primary = 192.0.2.1  # first\n" in shown
    assert untidy.read_text() == UNTIDY
    untidy.write_text(TIDY)
    assert main(["config", "format", "--check", "--diff", str(untidy)]) == 0
    assert capsys.readouterr().out == ""


def test_format_refuses_what_it_cannot_do(untidy: Path, capsys: Output) -> None:
    assert main(["config", "format", str(untidy), str(CLUSTER)]) == 2
    assert main(["config", "format", "--write", "-"]) == 2
    untidy.write_text("keepalive = six\n")
    assert main(["config", "format", "--write", str(untidy)]) == 1
    assert "is left as it is, since it has errors" in capsys.readouterr().err
    assert untidy.read_text() == "keepalive = six\n"


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    given(monkeypatch, "primary = 192.0.2.1\nkeepalive = six\n")
    assert main(["config", "check", "-"]) == 1
    assert "standard input:2:13: error: `keepalive` takes a time" in capsys.readouterr().out
    given(monkeypatch, UNTIDY)
    assert main(["config", "format", "-"]) == 0
    assert capsys.readouterr().out == TIDY
    given(monkeypatch, CLUSTER.read_text())
    assert main(["config", "diff", str(CLUSTER), "-"]) == 0
    assert main(["config", "diff", "-", "-"]) == 2


def test_classic_refuses_what_the_original_refused(capsys: Output, tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(CLUSTER.read_text().replace("keepalive = 6", "keepalive=6"))
    assert main(["config", "check", str(path)]) == 0
    capsys.readouterr()
    assert main(["config", "check", "--classic", str(path)]) == 1
    line = path.read_text().splitlines().index("keepalive=6") + 1
    assert f"{path}:{line}:1: error: " in capsys.readouterr().out
    assert main(["config", "check", "--classic", str(CLUSTER)]) == 0


def test_strict_lets_warnings_fail_but_not_advice(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text("primary = 192.0.2.1\n")
    assert main(["config", "check", str(path)]) == 0
    assert main(["config", "check", "--strict", str(path)]) == 1
    path.write_text(CLUSTER.read_text().replace("eth0:1", "eth0"))
    assert "A301" in [found.code for found in load(path.read_text()).findings]
    assert main(["config", "check", "--strict", str(path)]) == 0


def test_json_tells_of_an_unreadable_file_too(tmp_path: Path, capsys: Output) -> None:
    assert main(["config", "check", "--json", str(tmp_path / "no.cf"), str(CLUSTER)]) == 2
    first, second = json.loads(capsys.readouterr().out)
    assert first["unreadable"].startswith("cannot read ")
    assert second == {"file": str(CLUSTER), "findings": []}


def other(tmp_path: Path, *changes: tuple[str, str]) -> str:
    text = CLUSTER.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "other.cf"
    path.write_text(text)
    return str(path)


def test_diff_names_what_means_something_else(tmp_path: Path, capsys: Output) -> None:
    name = other(
        tmp_path,
        ("deadtime = 18", "deadtime = 20 # longer"),
        ("scheduler = wlc\n", ""),
        ("eth0:1", "eno1:1"),
        ('expect = "HTTP"\n', 'expect = "HTTP/1.1 200"\n'),
        (
            "        server Real2 {\n                address = 198.51.100.3",
            "        server Real3 {\n                address = 198.51.100.3",
        ),
    )
    assert main(["config", "diff", str(CLUSTER), name]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "deadtime: 18 -> 20",
        "virtual server1: device: eth0:1 -> eno1:1",
        'virtual server1: expect: HTTP -> "HTTP/1.1 200"',
        f"virtual server1: server Real2: only in {CLUSTER}",
        f"virtual server1: server Real3: only in {name}",
        f"5 differences between {CLUSTER} and {name}",
    ]


def test_diff_between_nodes_leaves_devices_aside(tmp_path: Path, capsys: Output) -> None:
    name = other(tmp_path, ("eth0:1", "eno1:1"), ("eth1:1", "eno2:1"), ("heartbeat = 1", ""))
    assert main(["config", "diff", "--nodes", str(CLUSTER), name]) == 0
    assert capsys.readouterr().out == f"{CLUSTER} and {name} mean the same, devices aside\n"
    name = other(tmp_path, ("keepalive = 6", "keepalive = 5"))
    assert main(["config", "diff", "--nodes", "--json", str(CLUSTER), name]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["same"] is False
    assert report["differences"] == [
        {
            "block": [],
            "directive": "keepalive",
            "left": 6,
            "right": 5,
            "left_given": True,
            "right_given": True,
        }
    ]


def test_diff_has_trouble_with_a_broken_or_missing_file(tmp_path: Path, capsys: Output) -> None:
    name = other(tmp_path, ("deadtime = 18", "deadtime = never"))
    assert main(["config", "diff", str(CLUSTER), name]) == 2
    both = capsys.readouterr()
    assert both.out == ""
    assert "`deadtime` takes a time" in both.err
    assert main(["config", "diff", str(CLUSTER), str(tmp_path / "no.cf")]) == 2


def test_explain_tells_of_directives_blocks_and_codes(capsys: Output) -> None:
    assert main(["config", "explain", "weight"]) == 0
    assert capsys.readouterr().out == (
        "weight, in server blocks\n"
        "  Share of the load, relative to the others; 0 is no new connections.\n"
        "  value:    number, 0 to 65535\n"
        "  default:  1\n"
        "  dialect:  of Piranha 0.8.6\n"
        "  example:  weight = 1\n"
    )
    assert main(["config", "explain", "e201"]) == 0
    assert capsys.readouterr().out.startswith("E201, error: unknown directive\n")
    assert main(["config", "explain", "server"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][:2] == [
        "server:",
        "address",
    ]
    assert main(["config", "explain", "--json", "port"]) == 0
    assert [one["where"] for one in json.loads(capsys.readouterr().out)] == [
        "in virtual and failover blocks",
        "in server blocks",
    ]
    assert main(["config", "explain", "shceduler"]) == 2
    assert capsys.readouterr().err == (
        "piranha: no directive, block or finding is called `shceduler`; did you mean `scheduler`?\n"
    )


def test_explain_alone_lists_everything(capsys: Output) -> None:
    assert main(["config", "explain"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {code} " in shown for code in CODES)
    assert "\nvirtual:\n" in shown
    assert "\x1b" not in shown


def test_help_manual_and_completion_know_the_commands(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["config", "check", "--help"])
    assert "exit status: 0 fine or warnings only, 1 errors" in " ".join(
        capsys.readouterr().out.split()
    )
    page = manual(parser(), "1").replace(r"\-", "-")
    for words in (
        "config check",
        "--on-this-host",
        "config diff",
        "--nodes",
        "0 they mean the same",
    ):
        assert words in page
    script = completion(parser())
    assert "'config') offered='-h --help check show format diff explain" in script
    (explained,) = [line for line in script.splitlines() if "'config explain')" in line]
    assert " quiesce_server " in explained
    assert " E201 " in explained


def test_completion_offers_directives_in_a_real_shell() -> None:
    """bash itself is asked what it would offer behind `piranha config explain sched`."""
    script = completion(parser()) + (
        "\nCOMP_WORDS=(piranha config explain sched)\nCOMP_CWORD=3\n_piranha\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc"], input=script, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["scheduler", "scheduler_flags"]


def test_nothing_of_the_library_is_loaded_for_other_commands() -> None:
    code = "import sys, piranha.cli; piranha.cli.parser(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "files/piranha-agent/src")},
    )
    assert not [name for name in done.stdout.split() if "lvs_cf" in name]
