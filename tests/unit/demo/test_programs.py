# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""No program that the demo starts outlives it or holds it up, and no doubt counts as held."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from piranha_demo import machines, main, programs, show, story


def test_output_comes_line_by_line_and_with_the_status() -> None:
    seen: list[str] = []
    status = programs.Programs().stream(
        ["sh", "-c", "echo one; echo two >&2; exit 3"], seen.append, alive=seen.append, limit=20
    )
    assert (status, seen) == (3, ["one", "two"])


def test_a_program_that_never_ends_is_ended() -> None:
    status, output = programs.Programs().capture(["sleep", "60"], limit=0.2)
    assert status == programs.TOO_LONG
    assert "0 s" in output


def test_what_is_fed_in_comes_out() -> None:
    assert programs.Programs().capture(["cat"], text="hello") == (0, "hello")


def test_stopping_reaches_the_children_of_a_program() -> None:
    started = programs.Programs()
    process = started.start(["sh", "-c", "sleep 60 & echo $!; wait"])
    assert process.stdout is not None
    child = int(process.stdout.readline())
    started.stop_all()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text(encoding="utf-8").split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_waiting_gives_up_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "POLL", 0.01)
    with pytest.raises(programs.DemoError, match="still not: the moon is blue"):
        machines.wait_until("the moon is blue", lambda: False, 0.1, lambda text: None)
    assert machines.wait_until("it is", lambda: True, 1, lambda text: None) < 1


def test_a_difference_names_machine_and_file() -> None:
    before = {"lvs1": {"files": {"/etc/lvs.cf": "0644 0:0 aa"}, "kernel": {"table": []}}}
    after = {"lvs1": {"files": {"/etc/lvs.cf": "0644 0:0 bb"}, "kernel": {"table": ["-A"]}}}
    assert machines.compare(before, before, ["lvs1"]) == []
    assert [line.split(" became")[0] for line in machines.compare(before, after, ["lvs1"])] == [
        "lvs1: /etc/lvs.cf: 0644 0:0 aa",
        "lvs1: table: []",
    ]


def run_main(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    does: str,
    keep: str = "",
) -> tuple[int, str]:
    """Run main() with a lab command that only notes what it was asked."""
    lab = tmp_path / "tests/lab/lab"
    lab.parent.mkdir(parents=True)
    lab.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n{does}\n')
    lab.chmod(0o755)
    monkeypatch.setattr(main, "listen", lambda handler: None)
    monkeypatch.setenv("KEEP", keep)
    return main.main(tmp_path), capsys.readouterr().out


def test_a_lab_that_does_not_come_up_is_a_failure_and_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = run_main(tmp_path, monkeypatch, capsys, 'test "$1" = down')
    assert status == main.NOT_HELD
    assert (tmp_path / "asked").read_text().split() == ["up", "down"]
    assert "the lab did not come up" in out
    assert "NOT all of it held" in out


@pytest.mark.parametrize(("held", "status"), [(True, 0), (False, 1)])
def test_the_status_is_that_of_the_weakest_row(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    held: bool,
    status: int,
) -> None:
    def tell(self: story.Story) -> None:
        self.shown += [show.Shown("one", "1", True), show.Shown("two", "2", held)]

    monkeypatch.setattr(story.Story, "tell", tell)
    assert run_main(tmp_path, monkeypatch, capsys, "exit 0")[0] == status


def test_a_lab_that_does_not_go_down_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(self: story.Story) -> None:
        self.shown.append(show.Shown("one", "1", True))

    monkeypatch.setattr(story.Story, "tell", tell)
    assert run_main(tmp_path, monkeypatch, capsys, "exit 1")[0] == main.NOT_HELD


def test_an_interruption_cleans_up_and_shows_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(self: story.Story) -> None:
        raise programs.Interrupted("SIGINT")

    monkeypatch.setattr(story.Story, "tell", tell)
    status, out = run_main(tmp_path, monkeypatch, capsys, "exit 0", keep="1")
    assert status == main.INTERRUPTED
    assert (tmp_path / "asked").read_text().split() == ["down"]
    assert "held what was shown" not in out


def test_a_lab_that_is_kept_is_not_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(self: story.Story) -> None:
        self.shown.append(show.Shown("one", "1", True))

    monkeypatch.setattr(story.Story, "tell", tell)
    status, out = run_main(tmp_path, monkeypatch, capsys, "exit 0", keep="1")
    assert status == main.HELD
    assert not (tmp_path / "asked").exists()
    assert "tests/lab/lab enter client" in out


def test_lines_carry_the_time() -> None:
    out = io.StringIO()
    screen = show.Screen(out)
    screen.heading("First")
    screen.say("one\ntwo")
    assert [line[:7] for line in out.getvalue().splitlines() if "[" in line] == ["[00:00]"] * 3
    assert show.clock(125.9) == "[02:05]"
