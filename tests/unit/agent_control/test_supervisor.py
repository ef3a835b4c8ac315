# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real pulse process, real forks, real signals, a real control socket; only children pretend."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from piranha.control.client import Client, Refused, Unreachable

ROOT = Path(__file__).resolve().parents[3]

CONFIG = """\
primary = 192.0.2.1
backup = 192.0.2.2
backup_active = 1
keepalive = 0.4
deadtime = 2
virtual web {
    address = 192.0.2.10 eth0:1
    active = 1
    port = 80
    server a {
        address = 192.0.2.21
        active = 1
    }
}
"""


class Pulse:
    """A running pulse with pretending children."""

    def __init__(self, folder: Path) -> None:
        self.config, self.run_dir = folder / "lvs.cf", folder / "run"
        self.run_dir.mkdir()
        self.config.write_text(CONFIG, encoding="utf-8")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(5)
        self.stderr = (folder / "stderr").open("w+", encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.notify_path = str(folder / "notify")

    def start(self, watchdog: float | None = None, *words: str) -> None:
        env = dict(os.environ, PYTHONPATH=f"{ROOT}/files/piranha-agent/src")
        env["NOTIFY_SOCKET"] = self.notify_path
        if watchdog is not None:
            env["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        argv = [sys.executable, "-m", "tests.unit.agent_control.fake_agent"]
        self.process = subprocess.Popen(
            [*argv, str(self.config), str(self.run_dir), *words],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=self.stderr,
        )

    def up(self) -> Pulse:
        """Start, and wait until it says READY."""
        self.start()
        self.told("READY=1")
        return self

    def told(self, word: str) -> str:
        """Wait for a notification that holds `word`."""
        while True:
            text = self.notify.recv(4096).decode()
            if word in text.split("\n"):
                return text

    def client(self) -> Client:
        return Client(self.run_dir / "control.sock", 5)

    def status(self) -> dict[str, Any]:
        with self.client() as client:
            return client.ask("status")

    def pulse_of(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status()["pulse"]
        return found

    def mood(self, name: str, how: str) -> None:
        (self.run_dir / f"{name}.mood").write_text(how, encoding="utf-8")

    def diary(self) -> list[str]:
        path = self.run_dir / "diary"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line.split(" ", 1)[1] for line in lines]

    def log(self) -> str:
        return Path(self.stderr.name).read_text(encoding="utf-8")

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(10)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.notify.close()
        self.stderr.close()


def soon(what: Callable[[], bool], limit: float = 8) -> None:
    """Wait until something is true."""
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    made = Pulse(tmp_path)
    yield made
    made.end()


def test_it_starts_serves_and_stops_in_order(pulse: Pulse) -> None:
    pulse.up()
    path = pulse.run_dir / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE((pulse.run_dir / "lvs.cf").stat().st_mode) == 0o600
    status = pulse.status()
    assert status["heart"]["text"].endswith("}\n")
    assert status["ages"]["lvsd"] < 2
    assert status["pulse"]["running"] == {"heart": True, "lvsd": True}

    pulse.signal(signal.SIGTERM)
    assert pulse.wait() == 0
    pulse.told("STOPPING=1")
    asked = [line for line in pulse.diary() if "asked" in line]
    assert asked == ["heart is asked to stop", "lvsd is asked to stop"]
    assert "resigned" not in pulse.diary()
    assert not path.exists()
    assert not any(alive(pid) for pid in status["pulse"]["pids"].values())


@pytest.mark.parametrize("name", ["heart", "lvsd"])
def test_a_killed_child_is_back_at_once_and_nobody_resigns(pulse: Pulse, name: str) -> None:
    pulse.up()
    before = pulse.pulse_of()
    for number in range(1, 3):
        os.kill(pulse.pulse_of()["pids"][name], signal.SIGKILL)
        soon(lambda n=number: pulse.pulse_of()["restarts"][name] == n)  # type: ignore[misc]
    after = pulse.pulse_of()
    other = "lvsd" if name == "heart" else "heart"
    assert after["pids"][other] == before["pids"][other]
    assert after["resigned"] == 0
    assert f"{name} was ended by SIGKILL" in pulse.log()


def children_of(pid: int) -> dict[int, str]:
    """Give the processes of a parent with their names."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    found = {}
    for child in listed:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends as we look
            found[int(child)] = Path(f"/proc/{child}/comm").read_text(encoding="utf-8").strip()
    return found


def test_only_the_first_heart_of_a_pulse_is_forced(pulse: Pulse) -> None:
    pulse.start(None, "force")
    pulse.told("READY=1")
    assert "heart is forced" in pulse.diary()
    os.kill(pulse.pulse_of()["pids"]["heart"], signal.SIGKILL)
    soon(lambda: pulse.diary().count("heart starts") == 2)
    assert pulse.diary().count("heart is forced") == 1


def test_understudies_step_in_for_hearts_that_die_in_a_row(pulse: Pulse) -> None:
    pulse.up()
    assert pulse.process is not None
    soon(lambda: pulse.pulse_of()["understudies"])
    names = children_of(pulse.process.pid)
    company = ["heart", "heart-next", "heart-next", "lvsd", "resign-next"]
    assert sorted(names.values()) == company
    waiting = {pid for pid, name in names.items() if name == "heart-next"}
    ready = [pid for pid, name in names.items() if name.endswith("-next")]
    urgent = os.sched_getscheduler(pulse.process.pid)  # real time, where that is allowed
    assert [os.sched_getscheduler(pid) for pid in ready] == [urgent] * 3, "they act at once"

    for number in (1, 2):  # faster than anybody could rehearse
        os.kill(pulse.pulse_of()["pids"]["heart"], signal.SIGKILL)
        soon(lambda n=number: pulse.pulse_of()["restarts"]["heart"] == n)  # type: ignore[misc]
        assert pulse.pulse_of()["pids"]["heart"] in waiting
        waiting.remove(pulse.pulse_of()["pids"]["heart"])
    soon(lambda: pulse.pulse_of()["understudies"])
    assert sorted(children_of(pulse.process.pid).values()) == company


def test_a_dead_understudy_is_replaced_and_does_no_harm(pulse: Pulse) -> None:
    pulse.up()
    assert pulse.process is not None
    soon(lambda: pulse.pulse_of()["understudies"])
    dead = next(p for p, n in children_of(pulse.process.pid).items() if n == "heart-next")
    os.kill(dead, signal.SIGKILL)
    soon(lambda: dead not in children_of(pulse.process.pid))  # type: ignore[union-attr]
    soon(lambda: pulse.pulse_of()["understudies"])
    assert pulse.pulse_of()["restarts"] == {"heart": 0, "lvsd": 0}


@pytest.mark.parametrize("how", ["hang", "die", "stop"])
def test_a_silent_heart_is_resigned_for_within_half_the_dead_time(pulse: Pulse, how: str) -> None:
    pulse.up()
    pid = pulse.pulse_of()["pids"]["heart"]
    begin = time.monotonic()
    if how == "stop":
        os.kill(pid, signal.SIGSTOP)
    else:
        pulse.mood("heart", how)
    soon(lambda: "resigned" in pulse.diary())
    # Half of 2 s, the last tick was up to 0.05 s old; the rest is this machine being busy.
    assert 0.9 < time.monotonic() - begin < 1.9
    assert not alive(pid)
    (pulse.run_dir / "heart.mood").unlink(missing_ok=True)
    soon(lambda: pulse.pulse_of()["running"]["heart"] and pulse.diary()[-1] == "heart starts")
    assert pulse.diary().count("resigned") == 1
    assert pulse.pulse_of()["resigned"] == 1


def test_a_failed_resignation_is_told(pulse: Pulse) -> None:
    pulse.up()
    pulse.mood("resign", "x")
    os.kill(pulse.pulse_of()["pids"]["heart"], signal.SIGSTOP)
    soon(lambda: "resigning failed: the kernel said no" in pulse.log())
    assert "Traceback" not in pulse.log()


def test_a_child_that_crashes_is_one_sentence(pulse: Pulse) -> None:
    pulse.up()
    pulse.mood("lvsd", "crash")
    soon(lambda: "lvsd failed at fake_agent.py:" in pulse.log())
    with pulse.client() as client:
        texts = [event["text"] for event in client.ask("events")["events"]]
    assert not any("Traceback" in text for text in texts)
    assert any("RuntimeError: made to crash" in text for text in texts)


def test_a_heart_that_does_not_stop_is_resigned_for(pulse: Pulse) -> None:
    pulse.up()
    pulse.mood("heart", "stubborn")
    time.sleep(0.2)
    pulse.signal(signal.SIGTERM)
    assert pulse.wait() == 0
    assert pulse.diary().index("resigned") < pulse.diary().index("lvsd is asked to stop")


def test_children_die_with_pulse(pulse: Pulse) -> None:
    pulse.up()
    pids = pulse.pulse_of()["pids"].values()
    pulse.signal(signal.SIGKILL)
    pulse.wait()
    soon(lambda: not any(alive(pid) for pid in pids))
    # The socket file it left does not keep the next one from starting.
    pulse.start()
    soon(lambda: "pulse 0" in pulse.log())
    pulse.told("READY=1")
    assert pulse.pulse_of()["running"]["heart"]


def test_children_have_nothing_of_pulse_open(pulse: Pulse) -> None:
    pulse.up()
    for pid in pulse.pulse_of()["pids"].values():
        links = {int(e.name): str(e.readlink()) for e in Path(f"/proc/{pid}/fd").iterdir()}
        beyond = [target for number, target in links.items() if number > 2]
        assert len([t for t in beyond if t.startswith("socket:")]) == 1, links
        assert not [t for t in beyond if "pulse.lock" in t or "eventpoll" in t], links


def test_reload_puts_a_good_file_in_force(pulse: Pulse) -> None:
    pulse.up()
    pulse.config.write_text(CONFIG.replace("192.0.2.21", "192.0.2.99"), encoding="utf-8")
    pulse.signal(signal.SIGHUP)
    pulse.told("RELOADING=1")
    pulse.told("READY=1")
    assert "192.0.2.99" in (pulse.run_dir / "lvs.cf").read_text(encoding="utf-8")
    assert pulse.diary()[-2:] == ["heart is asked to reload", "lvsd is asked to reload"]
    with pulse.client() as client:
        assert client.ask("reload") == {"warnings": []}


def test_a_bad_file_changes_nothing_and_the_reasons_are_told(pulse: Pulse) -> None:
    pulse.up()
    pulse.config.write_text("keepalife = 1\n" + CONFIG, encoding="utf-8")
    with pulse.client() as client, pytest.raises(Refused, match=r"lvs\.cf:1:1: .*keepalife"):
        client.ask("reload")
    assert (pulse.run_dir / "lvs.cf").read_text(encoding="utf-8") == CONFIG
    assert not [line for line in pulse.diary() if "reload" in line]
    assert "keepalife" in pulse.log()
    os.kill(pulse.pulse_of()["pids"]["heart"], signal.SIGKILL)
    soon(lambda: pulse.pulse_of()["restarts"]["heart"] == 1)
    soon(lambda: pulse.status()["heart"] is not None)
    assert pulse.pulse_of()["running"]["heart"], "the heart comes back with the good file"


def test_a_refusal_of_one_child_takes_the_change_back(pulse: Pulse) -> None:
    pulse.up()
    pulse.mood("lvsd", "refuse")
    time.sleep(0.2)
    pulse.config.write_text(CONFIG.replace("192.0.2.21", "192.0.2.99"), encoding="utf-8")
    with pulse.client() as client, pytest.raises(Refused, match="lvsd: eth9: no such device"):
        client.ask("reload")
    assert (pulse.run_dir / "lvs.cf").read_text(encoding="utf-8") == CONFIG
    assert pulse.diary().count("heart is asked to reload") == 2


def test_the_watchdog_is_fed(pulse: Pulse) -> None:
    pulse.start(watchdog=0.6)
    pulse.told("READY=1")
    begin = time.monotonic()
    for _unused in range(4):
        pulse.told("WATCHDOG=1")
    assert time.monotonic() - begin < 3


def test_events_are_streamed(pulse: Pulse) -> None:
    pulse.up()
    with pulse.client() as client:
        assert client.ask("events")["events"][0]["text"].startswith("pulse 0")
        with pulse.client() as other:
            other.ask("reload")
        texts = []
        for event in client.events():
            texts.append((event["from"], event["level"], event["text"]))
            if event["text"].endswith("was reloaded"):
                break
    assert ("heart", "notice", "read it again") in texts
    assert ("lvsd", "notice", "read it again") in texts


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"lvs\.cf: there is no such file"),
        ("", r"lvs\.cf"),
        ("keepalife = 1\n" + CONFIG, r"lvs\.cf:1:1: .*keepalife"),
        (CONFIG.replace("deadtime = 2", "deadtime = soon"), r"lvs\.cf:5:12: .*soon"),
        (b"\xff\xfe\n", r"lvs\.cf:1:1: .*UTF-8"),
    ],
)
def test_without_a_good_file_it_does_not_start(
    pulse: Pulse, text: str | bytes | None, sentence: str
) -> None:
    if text is None:
        pulse.config.unlink()
    else:
        pulse.config.write_bytes(text if isinstance(text, bytes) else text.encode())
    pulse.start()
    assert pulse.wait() == 1
    assert "Traceback" not in pulse.log()
    import re

    assert re.search(sentence, pulse.log())
    assert not (pulse.run_dir / "control.sock").exists()


def test_a_heart_that_cannot_run_at_start_fails_the_service(pulse: Pulse) -> None:
    pulse.mood("heart", "cannot")
    pulse.start()
    assert pulse.wait() == 78
    assert "heart: there is no heartbeat key" in pulse.log()
    assert pulse.diary().count("heart starts") == 1
    assert not (pulse.run_dir / "control.sock").exists()


def test_a_heart_that_cannot_run_later_is_tried_again(pulse: Pulse) -> None:
    pulse.up()
    pulse.mood("heart", "cannot")
    soon(lambda: pulse.diary().count("heart starts") > 3)
    (pulse.run_dir / "heart.mood").unlink()
    soon(lambda: pulse.pulse_of()["running"]["heart"])


def test_there_is_one_pulse_for_a_run_folder(pulse: Pulse) -> None:
    pulse.up()
    first, pulse.process = pulse.process, None
    pulse.start()
    assert pulse.wait() == 1
    assert "is running already" in pulse.log()
    pulse.process = first
    assert pulse.pulse_of()["running"]["heart"]


def test_garbage_is_answered_and_slow_readers_are_dropped(pulse: Pulse) -> None:
    pulse.up()
    path = str(pulse.run_dir / "control.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n[]\n" + b'{"do":"status","id":{}}\n{"id":7}\n')
        sock.sendall(b"x" * 200_000 + b'\n{"id":8,"do":"version"}\n')
        got: list[dict[str, Any]] = []
        data = b""
        while len(got) < 6:
            data += sock.recv(65536)
            got = [json.loads(line) for line in data.split(b"\n")[:-1]]
    errors = [answer["error"] for answer in got if not answer["ok"]]
    assert len(errors) == 5
    assert all(isinstance(e, str) and e and "Traceback" not in e for e in errors)
    assert {"id": 8, "ok": True, "result": {"version": "0.1.0"}} in got

    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(path)
        deaf.settimeout(5)
        with pytest.raises(OSError):
            for number in range(200_000):
                deaf.sendall(
                    json.dumps({"id": "i" * 5000, "do": "stat", "n": number}).encode() + b"\n"
                )
    assert pulse.pulse_of()["running"]["heart"], "and pulse goes on"


def test_too_many_connections_are_refused_with_a_sentence(pulse: Pulse) -> None:
    pulse.up()
    path = str(pulse.run_dir / "control.sock")
    socks = []
    for _unused in range(65):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(path)
        socks.append(sock)
    assert "64 connections are open already" in socks[-1].recv(4096).decode()
    for sock in socks:
        sock.close()
    soon(lambda: pulse.pulse_of()["running"]["heart"])


def test_nobody_there_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"pulse is not running .* systemctl start piranha-pulse"):
        Client(tmp_path / "control.sock")
