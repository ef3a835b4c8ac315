# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks with real programs: what they may do, how they end, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from piranha.nanny import program
from piranha.nanny.outcome import Finding, Outcome
from piranha.nanny.program import Refused, find, judge, run, unsafe
from piranha.nanny.spec import Expectation, Match, ProgramCheck

ME = frozenset({0, os.getuid()})
OK = Expectation(Match.PREFIX, b"OK")

Script = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a program of /bin/sh with the given body; gives its path."""

    def write(body: str) -> str:
        path = tmp_path / "check"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return write


def check(path: str, *arguments: str, expect: Expectation | None = OK, limit: float = 5) -> Outcome:
    return asyncio.run(run(ProgramCheck((path, *arguments), limit, expect), ME))


@pytest.mark.parametrize(
    ("body", "expect", "finding", "words"),
    [
        ("echo OK", OK, Finding.GOOD, 'the program said "OK"'),
        ("printf OK", OK, Finding.GOOD, 'the program said "OK"'),
        ("echo OK; exit 1", OK, Finding.BAD, 'the program ended with status 1 and said "OK"'),
        ("echo NO", OK, Finding.BAD, 'the program said "NO" instead of "OK"'),
        ("echo OK more", OK, Finding.BAD, 'the program said "OK more" instead of "OK"'),
        ("echo OK >&2", OK, Finding.BAD, 'the program said "" instead of "OK"; on stderr: "OK"'),
        ("exit 3", OK, Finding.BAD, "the program ended with status 3"),
        (
            "echo hint >&2; echo 'Host key\tunknown' >&2; exit 255",
            OK,
            Finding.BAD,
            r'''the program ended with status 255; on stderr: "Host key\tunknown"''',
        ),
        ("echo beware >&2; echo OK", OK, Finding.GOOD, 'the program said "OK"'),
        ("kill -9 $$", OK, Finding.BAD, "the program was ended by signal SIGKILL"),
        ("exit 0", None, Finding.GOOD, "the program succeeded"),
        ("exit 1", None, Finding.BAD, "the program ended with status 1"),
        (
            "echo hello",
            Expectation(Match.ANY),
            Finding.GOOD,
            'the program succeeded and said "hello"',
        ),
    ],
)
def test_results(
    script: Script, body: str, expect: Expectation | None, finding: Finding, words: str
) -> None:
    outcome = check(script(body), expect=expect)
    assert (outcome.words, outcome.finding) == (words, finding)


def test_arguments_are_passed_as_they_are_and_no_shell_sees_them(script: Script) -> None:
    path = script('printf "%s|" "$@"')
    outcome = check(path, "a b", "$HOME;id", expect=Expectation(Match.PREFIX, b"a b|$HOME;id|"))
    assert outcome.finding is Finding.GOOD


def test_a_program_that_hangs_dies_with_its_children(script: Script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = script(
        f"echo no route >&2; sleep 60 & echo $! >{pids}; sleep 60 & echo $! $$ >>{pids}; wait"
    )
    before = time.monotonic()
    outcome = check(path, limit=0.5)
    assert time.monotonic() - before < 1.5
    said = 'the program did not end within 0.5 s and was killed; on stderr: "no route"'
    assert outcome.words == said
    assert outcome.finding is Finding.BAD
    assert gone(pids.read_text().split())


def test_a_child_left_behind_neither_delays_the_result_nor_stays(
    script: Script, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    path = script(f"sleep 60 & echo $! >{pids}; echo OK")
    before = time.monotonic()
    assert check(path).finding is Finding.GOOD
    assert time.monotonic() - before < 2
    assert gone(pids.read_text().split())


def gone(pids: list[str]) -> bool:
    """Tell whether none of these processes runs any more (a zombie does not run)."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def alive(pid: str) -> bool:
    try:
        status = Path("/proc", pid, "stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_much_output_blocks_nobody(script: Script) -> None:
    path = script("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 0")
    assert check(path, expect=None).finding is Finding.GOOD


@pytest.mark.parametrize("where", ["", ">&2"])
def test_endless_output_is_stopped(script: Script, where: str) -> None:
    outcome = check(script(f"exec yes {where}"), limit=10)
    assert outcome.words == "the program printed more than 1048576 bytes and was killed"


def test_a_program_has_no_rights_and_clean_signals(script: Script) -> None:
    path = script(
        "grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|Sig(Blk|Ign))' /proc/self/status; id -u"
    )
    outcome = asyncio.run(
        run(ProgramCheck((path,), 5, Expectation(Match.REGEX, b"NoNewPrivs:.1")), ME)
    )
    assert outcome.finding is Finding.GOOD, outcome.words
    none = b"Cap(Inh|Prm|Eff|Amb):.0+\n"
    # make starts programs by posix_spawn(3), with which glibc leaves its own signals 32 and 33 (or
    # one of them) ignored; nobody but glibc can change that, and it harms nothing.
    wanted = b"^SigBlk:.0+\nSigIgn:.0+(180000000|[18]0{7,8})?\n" + none * 4 + b"NoNewPrivs:.1\n"
    outcome = asyncio.run(run(ProgramCheck((path,), 5, Expectation(Match.REGEX, wanted)), ME))
    assert outcome.finding is Finding.GOOD


def test_the_environment_and_the_input_are_empty(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    path = script('read line; echo "$SECRET:$line:$PWD"')
    assert check(path, expect=Expectation(Match.PREFIX, b"::/")).finding is Finding.GOOD


def test_cancelling_kills(script: Script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = script(f"echo $$ >{pids}; sleep 60")

    async def main() -> None:
        task = asyncio.create_task(run(ProgramCheck((path,), 30), ME))
        while not pids.exists() or not pids.read_text():
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 10))
    assert gone(pids.read_text().split())


def test_a_program_dies_with_lvsd(script: Script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = script(f"echo $$ >{pids}; exec sleep 60")
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(run(ProgramCheck((path,), 30), ME))
        finally:
            os._exit(1)
    deadline = time.monotonic() + 10
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert gone(pids.read_text().split())


def test_a_program_that_is_not_there_counts_as_down() -> None:
    outcome = check("/nonexistent/check")
    assert outcome.finding is Finding.BAD
    assert outcome.words.startswith("there is no program /nonexistent/check")
    assert "there is no program no-such-check in /usr" in check("no-such-check").words


def test_a_file_that_is_no_program_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "check"
    path.write_bytes(b"\x7fELF but not really")
    path.chmod(0o755)
    outcome = check(str(path))
    assert outcome.finding is Finding.BAD
    assert "cannot be started" in outcome.words


@pytest.mark.parametrize(("mode", "place"), [(0o775, "file"), (0o757, "file"), (0o777, "folder")])
def test_what_others_can_write_is_not_run(tmp_path: Path, mode: int, place: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "check"
    path.write_text("#!/bin/sh\necho OK\n")
    path.chmod(0o755)
    (path if place == "file" else folder).chmod(mode)
    with pytest.raises(Refused, match="can be written by others"):
        find(str(path), ME)


def test_what_somebody_else_owns_is_not_run(script: Script) -> None:
    path = script("echo OK")
    with pytest.raises(Refused, match="belongs to user"):
        find(path, frozenset({12345}))


def test_a_link_is_followed_before_it_is_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    target = folder / "check"
    target.write_text("#!/bin/sh\n")
    target.chmod(0o755)
    folder.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(Refused, match="open can be written by others"):
        find(str(link), ME)


def test_a_sticky_folder_is_fine_but_a_sticky_file_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o777 | stat.S_ISVTX)
    assert unsafe(folder.stat(), ME) is None
    file = tmp_path / "file"
    file.touch()
    file.chmod(0o666 | stat.S_ISVTX)
    assert unsafe(file.stat(), ME) == "can be written by others"


def test_programs_are_found_by_name() -> None:
    assert find("true").endswith("/true")


def test_judge_takes_one_line_end_away_and_no_more() -> None:
    assert judge(0, b"OK\n", OK).finding is Finding.GOOD
    assert judge(0, b"OK\n\n", OK).finding is Finding.BAD


def test_a_full_process_table_is_not_the_servers_fault(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(program, "_start", full)
    assert check(script("echo OK")).finding is Finding.UNKNOWN
