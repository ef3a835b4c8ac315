# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of old: their names, options and refusals, and lvsd without pulse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from piranha import __version__, cli, old_cli
from piranha.pulse import supervisor

SOURCES = Path(old_cli.__file__).resolve().parents[1]
CONFIG = """\
primary = 192.0.2.11
service = lvs
virtual web {
    active = 1
    address = 192.0.2.100 eth0
    port = 80
}
"""
CHILD = """\
from piranha.control.link import Link
import select

def run(sock, config, run_dir):
    link = Link(sock)
    link.send({"event": {"level": "notice", "text": f"reads {config.name}"}})
    while True:
        select.select([link], [], [])
        for message in link.receive():
            link.send({"event": {"level": "notice", "text": message["do"]}})
            link.send({"answer": message["ask"], "ok": True, "result": {}})
            if message["do"] == "stop":
                return 0
"""


@pytest.mark.parametrize("name", old_cli.NAMES)
def test_it_is_what_it_is_called(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old_cli.called_as(f"/usr/sbin/{name}") == [name]
    monkeypatch.setattr(sys, "argv", [f"/usr/sbin/{name}", "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0


def test_other_names_are_piranha_itself() -> None:
    assert old_cli.called_as("/usr/sbin/piranha") == []
    assert old_cli.called_as("/usr/bin/python3") == []


def test_a_test_start_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "lvs.cf"
    config.write_text("keepalife = 3\n")
    assert cli.main(["pulse", "-n", "-t", "--lvs", "/usr/sbin/lvsd", "-c", str(config)]) == 1
    said = capsys.readouterr().err
    assert "--lvs has no effect" in said
    assert "keepalife" in said
    config.write_text(CONFIG)
    assert cli.main(["pulse", "--norun", "-c", str(config)]) == 1
    assert "is an address of this machine" in capsys.readouterr().err
    config.write_text(CONFIG.replace("192.0.2.11", "127.0.0.1"))
    assert cli.main(["pulse", "--norun", "-c", str(config)]) == 0
    assert "this router is the primary" in capsys.readouterr().out


def test_lvsd_has_a_test_start_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "lvs.cf"
    config.write_text("keepalife = 3\n")
    assert cli.main(["lvsd", "-t", "-n", "-v", "-c", str(config)]) == 1
    assert "keepalife" in capsys.readouterr().err
    config.write_text(CONFIG)
    assert cli.main(["lvsd", "--test-start", "--nanny", "/usr/sbin/nanny", "-c", str(config)]) == 0
    said = capsys.readouterr()
    assert "lvsd can start with it" in said.out
    assert "--nanny has no effect" in said.err


@pytest.mark.parametrize("words", [["-?"], ["--usage"], ["--version"]])
@pytest.mark.parametrize("name", ["pulse", "lvsd", "fos", "send_arp"])
def test_each_answers_as_ever(
    name: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, *words])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert (f"piranha {__version__}" if words == ["--version"] else "usage: ") in said


@pytest.mark.parametrize("force", [False, True])
def test_pulse_may_be_forced_to_be_active(force: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(supervisor, "run", lambda *_words, force: asked.append(force) or 0)
    assert cli.main(["pulse", "-n", *(["--forceactive"] if force else [])]) == 0
    assert asked == [force]


def test_fos_tells_where_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fos", "--active", "--nofork"]) == 2
    assert cli.main(["fos", "-f", "-t", "-v", "-c", "/etc/lvs.cf"]) == 2
    assert "service = fos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["192.0.2.300", "020000000001"], "192.0.2.300 is no address"),
        (["192.0.2.1", "0200"], "0200 is no hardware address"),
        (["192.0.2.1", "02:00:00:00:00:0g"], "is no hardware address"),
    ],
)
def test_send_arp_refuses_in_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["send_arp", *words])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_send_arp_on_no_interface(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["send_arp", "-i", "nosuch0", "192.0.2.1", "020000000001"]) == 1
    said = capsys.readouterr().err
    assert "on nosuch0" in said or "not allowed" in said


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_lvsd_without_pulse(tmp_path: Path) -> None:
    config, run_dir, log = tmp_path / "lvs.cf", tmp_path / "run", tmp_path / "log"
    config.write_text(CONFIG)
    (tmp_path / "child.py").write_text(CHILD)
    code = "import sys; from pathlib import Path; from piranha.pulse import alone; "
    code += "sys.exit(alone.run(Path(sys.argv[1]), Path(sys.argv[2]), 'child'))"
    argv = [sys.executable, "-c", code, str(config), str(run_dir)]
    env = {**os.environ, "PYTHONPATH": f"{SOURCES}:{tmp_path}"}
    with log.open("wb") as out, subprocess.Popen(argv, env=env, stderr=out) as process:
        try:
            until(lambda: "reads lvs.cf" in log.read_text())
            second = subprocess.run(argv, env=env, check=False, capture_output=True, timeout=20)
            assert second.returncode == 1
            assert b"is running already" in second.stderr
            config.write_text("keepalife = 3\n")
            process.send_signal(signal.SIGHUP)
            until(lambda: "keepalife" in log.read_text())
            assert (run_dir / "lvs.cf").read_text() == CONFIG, "a bad file changes nothing"
            config.write_text(CONFIG + "# more\n")
            process.send_signal(signal.SIGHUP)
            until(lambda: "reload" in log.read_text())
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
