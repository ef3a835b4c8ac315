# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may ask what, and the commands that give orders, against a real pulse that hands them on."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from piranha import cli, override_cli
from piranha.control import screen
from piranha.control.client import Client
from piranha.control.protocol import CHANGES, Encoded, Request, encode, permitted

from .answering import answering
from .test_supervisor import Pulse, pulse

__all__ = ["pulse"]  # the fixture

NOBODY = 65534


def test_only_root_and_pulse_itself_may_change_anything() -> None:
    for do in ("status", "events", "servers", "version"):
        assert permitted(Request(1, do, {}, NOBODY), 0) is None
    for do in CHANGES:
        assert permitted(Request(1, do, {}, 0), 1000) is None
        assert permitted(Request(1, do, {}, 1000), 1000) is None
        why = permitted(Request(1, do, {}, NOBODY), 0)
        assert why == f"user {NOBODY} may not {do}; only root may change anything, use sudo"
    assert permitted(Request(1, "reload", {}, None), 0) is not None


ASKER = """\
import json, os, socket, sys
os.chdir(sys.argv[1])  # the folders above are root's alone in this test
os.setgroups([]); os.setgid(0); os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX); sock.connect("control.sock")
for do in ("version", "override"):
    sock.sendall(json.dumps({"id": do, "do": do, "server": "one"}).encode() + b"\\n")
lines = sock.makefile()
print(json.dumps([json.loads(lines.readline()) for _ in range(2)]))
"""


def test_the_kernel_says_who_asks(pulse: Pulse) -> None:
    """A user of root's group may read, and cannot change whatever it says of itself."""
    pulse.up()
    done = subprocess.run(
        [sys.executable, "-c", ASKER, str(pulse.run_dir), str(NOBODY)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_id = {answer["id"]: answer for answer in json.loads(done.stdout)}
    assert by_id["version"]["ok"] is True
    assert by_id["override"]["ok"] is False
    assert f"user {NOBODY} may not override" in by_id["override"]["error"]
    assert "lvsd is asked to override" not in " ".join(pulse.diary())


def test_an_order_reaches_lvsd_with_the_name_of_who_gave_it(pulse: Pulse) -> None:
    pulse.up()
    with Client(pulse.run_dir / "control.sock") as client:
        heard = client.ask("override", server="one", mode="drained", limit=1)["heard"]
    assert heard == {"server": "one", "mode": "drained", "limit": 1, "by": "root"}


def test_a_status_in_pages_is_whole(pulse: Pulse) -> None:
    pulse.up()
    with Client(pulse.run_dir / "control.sock") as client:
        assert client.ask("status")["lvsd"]["virtual"] == [{"name": "web", "servers": []}]
        assert "virtual" not in client.ask("status", detail=False)["lvsd"]


def test_what_is_json_already_is_put_in_its_place() -> None:
    for text in ("\0encoded\0", 'a "b" \\', "é"):
        piece = json.dumps({"name": text})
        message = {"id": text, "a": Encoded([piece, "", piece]), "b": Encoded([]), "c": 1}
        assert json.loads(encode({"a": message["a"], "b": message["b"]})) == {
            "a": [{"name": text}, {"name": text}],
            "b": [],
        }
    with pytest.raises(TypeError, match="set cannot be JSON"):
        encode({"a": {1}})


ANSWER: dict[str, Any] = {
    "changed": True,
    "servers": [
        {
            "virtual": "web",
            "server": "one",
            "address": "192.0.2.21",
            "port": 80,
            "before": {"mode": "enabled", "weight": 3, "weight_is": "configured"},
            "after": {"mode": "drained", "weight": 3, "weight_is": "configured"},
        }
    ],
    "warnings": [],
}


class Router:
    """A socket that answers as pulse does; `left` is what each look at the connections gives."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.left = [{"active": 2}, {"active": 1}, {}]
        answering(folder, self._answer)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked)
        result = dict(ANSWER)
        if asked["do"] == "servers":
            left = self.left.pop(0) if len(self.left) > 1 else self.left[0]
            result = {"servers": [], "left": left}
        return {"ok": True, "result": result}


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Router]:
    monkeypatch.setattr(override_cli, "LOOK", 0.01)
    monkeypatch.setenv("SUDO_USER", "anna")
    return Router(tmp_path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["drain", "one", "-r", "disk"], {"mode": "drained", "reason": "disk", "by": "anna"}),
        (
            ["disable", "one", "web", "--by", "bert"],
            {"mode": "disabled", "virtual": "web", "by": "bert"},
        ),
        (["enable", "one", "-n"], {"mode": "enabled", "dry_run": True, "virtual": None}),
        (["weight", "one", "7"], {"mode": None, "weight": 7}),
        (["weight", "one", "configured", "web"], {"weight": "configured", "virtual": "web"}),
    ],
)
def test_each_command_is_one_order(
    router: Router,
    tmp_path: Path,
    words: list[str],
    expected: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([*words, "--run-dir", str(tmp_path)]) == 0
    (asked,) = router.asked
    assert asked["do"] == "override"
    assert asked["server"] == "one"
    assert {name: asked[name] for name in expected} == expected
    verb = "would be" if "-n" in words else "is"
    told = capsys.readouterr().out
    assert told == (
        f"web: one 192.0.2.21 {verb} drained with weight 3 (was enabled with weight 3)\n"
    )


def test_drain_waits_for_the_last_connection(
    router: Router, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["drain", "one", "--wait", "20", "--run-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "2 active connections left" in told
    assert "1 active connections left" in told
    router.left = [{"active": 5}]
    assert cli.main(["drain", "one", "--wait", "0.05", "--run-dir", str(tmp_path)]) == 1
    assert "5 active connections left; it stays drained" in capsys.readouterr().err
    words = ["drain", "one", "--json", "--wait", "0", "--run-dir", str(tmp_path)]
    assert cli.main(words) == 1
    assert json.loads(capsys.readouterr().out)["left"] == {"active": 5}


@pytest.mark.parametrize("words", [["weight", "one"], ["weight", "one", "much"], ["drain"]])
def test_wrong_use_of_an_order_is_status_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2


def test_status_watches_until_pulse_ends(pulse: Pulse) -> None:
    pulse.up()
    argv = [sys.executable, "-m", "piranha", "status", "--json", "--watch", "0.2"]
    source = str(Path(__file__).resolve().parents[3] / "files/piranha-agent/src")
    with subprocess.Popen(
        [*argv, "--run-dir", str(pulse.run_dir)],
        env=dict(os.environ, PYTHONPATH=source),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watcher:
        assert watcher.stdout is not None
        first, second = (json.loads(watcher.stdout.readline()) for _unused in range(2))
        assert second["pulse"]["uptime"] > first["pulse"]["uptime"] + 0.1
        pulse.end()
        _output, errors = watcher.communicate(timeout=10)
    assert watcher.returncode == 2
    assert len(errors.splitlines()) == 1


def test_a_status_of_one_name(pulse: Pulse, capsys: pytest.CaptureFixture[str]) -> None:
    pulse.up()
    cli.main(["status", "web", "--json", "--run-dir", str(pulse.run_dir)])
    (service,) = json.loads(capsys.readouterr().out)["lvsd"]["virtual"]
    assert service["name"] == "web"
    assert cli.main(["status", "wbe", "--run-dir", str(pulse.run_dir)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    said = "no virtual service or real server in force is called wbe; see piranha status"
    assert told.err == f"piranha: {said}\n"


def test_on_a_terminal_it_watches_on_a_screen_of_its_own(pulse: Pulse) -> None:
    pulse.up()
    outer, inner = pty.openpty()
    source = str(Path(__file__).resolve().parents[3] / "files/piranha-agent/src")
    argv = [sys.executable, "-m", "piranha", "status", "--watch", "0.2"]
    env = dict(os.environ, PYTHONPATH=source, TERM="xterm", LINES="20", COLUMNS="90")
    # What a shell starts in its background is deaf to Ctrl-C, and its children are: tests may be.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = subprocess.Popen(
        [*argv, "--run-dir", str(pulse.run_dir)], env=env, stdout=inner, stderr=subprocess.DEVNULL
    )
    signal.signal(signal.SIGINT, deaf)
    with watcher:
        os.close(inner)
        shown = ""
        while shown.count(screen.EMPTY) < 3:
            shown += os.read(outer, 4096).decode()
        watcher.send_signal(signal.SIGINT)
        try:
            while piece := os.read(outer, 4096).decode():
                shown += piece
        except OSError:  # the other end is closed
            pass
        os.close(outer)
    assert watcher.returncode == 130
    assert shown.startswith(screen.ENTER)
    assert shown.endswith(screen.LEAVE)
    first = shown.split(screen.EMPTY)[1].splitlines()
    assert re.fullmatch(r"[-0-9]{10} [:0-9]{8}, every 0.2 s", first[0])
    assert any("web (tcp" in line for line in first)
