# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are really run: as children, and through programs that stand in for systemd's.

What systemd itself does with them is tried in tests/cluster/test_systemd.py.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from pathlib import Path

import pytest
from piranha.commands import transient
from piranha.commands.command import Command, Result
from piranha.commands.runner import Plain, Systemd, choose

MINE = frozenset({0, os.getuid()})


def script(folder: Path, text: str, name: str = "script") -> str:
    path = folder / name
    path.write_text(f"#!{sys.executable} -I\nimport os, sys, time\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def run(runner: Plain | Systemd, *argv: str, limit: float = 20, **facts: str) -> Result:
    return asyncio.run(runner.run(Command("x", argv, limit, facts)))


def test_arguments_and_facts_arrive_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = f"open({str(out)!r}, 'w').write(repr((sys.argv[1:], sorted(os.environ.items()))))"
    os.environ["SECRET"] = "x"
    result = run(Plain(MINE), script(tmp_path, text), "a b", "$HOME;id", PIRANHA_STATE="active")
    assert (result.ok, result.words) == (True, "succeeded")
    arguments, environment = eval(out.read_text())  # noqa: S307 - our own repr
    assert arguments == ["a b", "$HOME;id"]
    assert dict(environment).keys() - {"LC_CTYPE"} == {"LC_ALL", "PATH", "PIRANHA_STATE"}


def test_it_has_a_session_of_its_own_and_no_real_time_priority(tmp_path: Path) -> None:
    out = tmp_path / "out"
    own = "repr((os.getsid(0) == os.getpid(), os.sched_getscheduler(0)))"
    text = f"open({str(out)!r}, 'w').write({own})"
    assert run(Plain(MINE), script(tmp_path, text)).ok
    assert out.read_text() == f"(True, {os.SCHED_OTHER})"


def test_what_it_leaves_running_outlives_it(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    text = (
        f"if os.fork(): sys.exit(0)\nos.setsid()\nopen({str(out)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    command = Command("start", (script(tmp_path, text),), 20)
    result = asyncio.run(Plain(MINE).start(command, "web", 1))
    assert result.ok
    end = time.monotonic() + 10
    while not out.exists() or not out.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    pid = int(out.read_text())
    os.kill(pid, 0)
    os.kill(pid, 9)


def test_one_that_hangs_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    text = f"pid = os.fork()\nif pid: open({str(out)!r}, 'w').write(str(pid))\ntime.sleep(60)"
    begin = time.monotonic()
    result = run(Plain(MINE), script(tmp_path, text), limit=1.5)
    assert result.words == "did not end within 1.5 s and was killed"
    assert not result.ok
    assert time.monotonic() - begin < 8
    child = int(out.read_text())
    end = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists():
        if Path(f"/proc/{child}/stat").read_text().split(") ")[1][0] == "Z":
            break
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_cancelled_one_is_killed(tmp_path: Path) -> None:
    async def work() -> None:
        command = Command("x", (script(tmp_path, "time.sleep(60)"),), 60)
        task = asyncio.create_task(Plain(MINE).run(command))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert children == []

    asyncio.run(work())


@pytest.mark.parametrize(
    ("text", "words"),
    [("sys.exit(7)", "ended with status 7"), ("os.kill(os.getpid(), 9)", "SIGKILL")],
)
def test_a_failure_is_told(tmp_path: Path, text: str, words: str) -> None:
    result = run(Plain(MINE), script(tmp_path, text))
    assert not result.ok
    assert words in result.words


def test_only_programs_that_nobody_else_can_change_are_run(tmp_path: Path) -> None:
    path = script(tmp_path, "pass")
    Path(path).chmod(0o777)
    for runner in (Plain(MINE), Systemd(MINE)):
        assert "can be written by others" in run(runner, path).words
        assert "there is no program" in run(runner, "/nowhere/at/all").words
        assert run(runner).words == "was not run, since it is empty"
    Path(path).chmod(0o755)
    tmp_path.chmod(0o777)
    assert "can be written by others" in run(Plain(MINE), path).words
    tmp_path.chmod(0o755)
    # Whom root does not trust: in a test, root does not even trust root.
    assert "belongs to user" in run(Plain(frozenset()), path).words


def test_a_program_goes_by_the_name_of_its_link_and_nobody_else_may_change_that(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    script(tmp_path, f"open({str(out)!r}, 'w').write(os.path.basename(sys.argv[0]))", "real")
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "other").symlink_to("../real")
    assert run(Plain(MINE), str(folder / "other")).ok
    assert out.read_text() == "other"
    folder.chmod(0o777)
    assert "can be written by others" in run(Plain(MINE), str(folder / "other")).words


def test_systemd_is_used_where_it_is_the_init(tmp_path: Path) -> None:
    assert choose(tmp_path).name == "systemd"
    assert choose(tmp_path / "not").name == "plain"


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs in systemd's place that write down how they are called."""
    diary = tmp_path / "diary"
    note = f"open({str(diary)!r}, 'a').write(repr(sys.argv[1:]) + '\\n')\n"
    shown = "Result=exit-code\\nExecStart={ code=exited ; status=5 }"
    fail = f"sys.exit(1 if os.path.exists({str(tmp_path / 'fail')!r}) else 0)"
    monkeypatch.setattr(transient, "SYSTEMD_RUN", script(tmp_path, note + fail, "run"))
    show = f"if 'show' in sys.argv: print({shown!r})".replace("\\\\n", "\\n")
    monkeypatch.setattr(transient, "SYSTEMCTL", script(tmp_path, note + show, "ctl"))
    return tmp_path


def diary(folder: Path) -> list[list[str]]:
    lines = (folder / "diary").read_text().splitlines()
    return [eval(line) for line in lines]  # noqa: S307 - our own repr


def test_a_unit_runs_to_its_end(stand_ins: Path) -> None:
    assert run(Systemd(MINE), "/usr/bin/true", "x").ok
    (line,) = diary(stand_ins)
    assert line[-2:] == ["/usr/bin/true", "x"]


def test_a_failed_unit_says_why_and_is_forgotten(stand_ins: Path) -> None:
    (stand_ins / "fail").touch()
    result = run(Systemd(MINE), "/usr/bin/true")
    assert (result.ok, result.words) == (False, "ended with status 5")
    unit = next(word for word in diary(stand_ins)[0] if word.startswith("--unit="))
    assert diary(stand_ins)[-1] == ["reset-failed", unit.removeprefix("--unit=")]


def test_a_service_is_ended_with_all_that_it_left(stand_ins: Path) -> None:
    async def work() -> None:
        runner = Systemd(MINE)
        await runner.start(Command("start web", ("/usr/bin/true",), 5), "web", 3)
        await runner.end("web")

    asyncio.run(work())
    calls = [[w for w in line if not w.startswith("--")][:2] for line in diary(stand_ins)]
    unit = "piranha-fos-web.service"
    assert calls == [
        ["stop", unit],
        ["reset-failed", unit],
        ["/usr/bin/true"],
        ["kill", unit],
        ["stop", unit],
        ["reset-failed", unit],
    ]


def test_without_systemd_run_the_reason_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transient, "SYSTEMD_RUN", str(tmp_path / "not there"))
    assert "No such file" in run(Systemd(MINE), "/usr/bin/true").words


def test_scripts_here_are_what_they_say(tmp_path: Path) -> None:
    assert stat.S_IMODE(Path(script(tmp_path, "pass")).stat().st_mode) == 0o755
