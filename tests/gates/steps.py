# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one step of a layer: stream what it prints, keep it in a log, say how long it takes, count.

What the steps are stands in layers.py; in which order they run and the closing table in run.py.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import again
from .machine import LOGS, ROOT, say, tool_environment

SILENCE = 15.0  # seconds without a line after which we say that the step still runs
PATIENCE = 45.0  # seconds that an interrupted step gets for cleaning up


@dataclass(frozen=True)
class Count:
    """How many tests passed, failed, were skipped, and were left to a longer run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    left: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.passed + other.passed, self.failed + other.failed,
            self.skipped + other.skipped, self.left + other.left,
        )


@dataclass(frozen=True)
class Step:
    """One command. ``count`` reads its log; without it the step counts as one test.

    ``unless`` is a reason why the step cannot run here; it is shown in the closing table.
    ``limit`` is in seconds. Steps of one ``lane`` never run side by side. ``again`` is the command
    that runs those few tests once more whose names are put behind it, see again.py.
    """

    name: str
    argv: tuple[str, ...] = ()
    limit: float = 300.0
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path = ROOT
    count: Callable[[str], Count] | None = None
    unless: str = ""
    lane: str = ""
    again: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a step. ``status`` is None where it did not run."""

    step: Step
    status: int | None
    seconds: float
    count: Count
    note: str = ""
    failures: tuple[str, ...] = ()  # pytest's own words: which test, and why

    @property
    def good(self) -> bool:
        return self.status in (None, 0) and not self.count.failed


NOTHING_CHOSEN = 5
"""pytest's exit status where no test was run."""

CLOSING = re.compile(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)


def pytest_count(log: str) -> Count:
    """Read pytest's closing line, e.g. ``3 failed, 10 passed, 1 skipped in 2.10s``.

    Without such a line (pytest never got that far) nothing passed.
    """
    found = CLOSING.findall(log)
    return _numbers(found[-1]) if found else Count()


def units_count(log: str) -> Count:
    """ansible-test units runs pytest for modules, their utilities and the rest: add them up."""
    return sum(map(_numbers, CLOSING.findall(log)), Count())


def _numbers(closing: str) -> Count:
    numbers = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", closing)}
    failed = sum(numbers.get(word, 0) for word in ("failed", "error", "errors"))
    passed = sum(numbers.get(word, 0) for word in ("passed", "xfailed"))
    return Count(passed, failed, numbers.get("skipped", 0), numbers.get("deselected", 0))


def sanity_count(log: str) -> Count:
    """ansible-test sanity: one for each test that it says it runs, less those that it skips."""
    ran = len(re.findall(r"^Running sanity test ", log, re.MULTILINE))
    wrong = len(re.findall(r"^ERROR: Found \d+ .* issue", log, re.MULTILINE))
    return Count(max(ran - wrong, 0), wrong)


_running: set[subprocess.Popen[bytes]] = set()
_stopping = threading.Event()


def stop_all() -> None:
    """End every step that runs, and begin no other: somebody pressed Ctrl-C."""
    _stopping.set()
    for child in list(_running):
        _end(child)


def run_step(step: Step, layer: str, beside_others: bool = False) -> Outcome:
    """Run a step to its end or its time limit; the log is build/logs/LAYER-STEP.log.

    ``beside_others``: each line is printed whole, behind the step's name.
    """
    if _stopping.is_set():
        return Outcome(step, None, 0.0, Count(), "not run: stopped")
    if step.unless:
        say(f"--- {layer}: {step.name}: NOT RUN: {step.unless}")
        return Outcome(step, None, 0.0, Count(), f"not run: {step.unless}")
    say(f"--- {layer}: {step.name}")
    say("  $ " + shlex.join(_short(word) for word in step.argv))
    LOGS.mkdir(parents=True, exist_ok=True)
    log_file = LOGS / f"{layer}-{re.sub(r'[^a-z0-9]+', '-', step.name.lower())}.log"
    began = time.monotonic()
    try:
        status, note = _stream(step, log_file, beside_others)
    except OSError as error:
        status, note = 127, f"{_short(step.argv[0])}: {error.strerror}"
        say(f"  cannot start {note}")
        log_file.write_text(note + "\n", encoding="utf-8")
    seconds = time.monotonic() - began
    text = log_file.read_text(encoding="utf-8", errors="replace")
    count = step.count(text) if step.count else Count(int(status == 0), int(status != 0))
    if status == NOTHING_CHOSEN and count.left and not count.passed:
        status = 0  # every test of the file is left to a longer run, and the table says so
    failures = again.failures(text)
    names = again.worth_it(status, text) if step.again else ()
    if names:
        say(f"  {step.name}: once more, alone: {', '.join(names)}")
        second = replace(step, argv=(*step.again, *names))
        status, _note = _stream(second, log_file.with_suffix(".again.log"), beside_others)
        if status == 0:
            count = Count(count.passed + count.failed, 0, count.skipped, count.left)
            note = f"{len(names)} unsteady {note}".strip()
        seconds = time.monotonic() - began
    if status != 0 and count.failed == 0:
        count = Count(count.passed, 1, count.skipped)
    who = f"{step.name}: " if beside_others else ""
    say(f"  {who}{'ok' if status == 0 else 'FAILED'} after {seconds:.1f} s, log {_short(log_file)}")
    return Outcome(step, status, seconds, count, note, failures)


def _short(word: str | Path) -> str:
    return str(word).replace(f"{ROOT}/", "")


def _stream(step: Step, log_file: Path, beside_others: bool) -> tuple[int, str]:
    """Run the command, copy its output to us and to the log; give status and a remark."""
    began = last = time.monotonic()
    rest = b""
    with log_file.open("wb") as log, subprocess.Popen(
        step.argv, cwd=step.cwd, env=tool_environment() | step.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
    ) as child:
        _running.add(child)
        try:
            assert child.stdout is not None
            pipe = child.stdout.fileno()
            while True:
                ready = select.select([pipe], [], [], 1.0)[0]
                now = time.monotonic()
                if ready:
                    piece = os.read(pipe, 65536)
                    if not piece:
                        break
                    log.write(piece)
                    rest = _print(step.name, rest + piece) if beside_others else _copy(piece)
                    last = now
                elif child.poll() is not None:
                    break  # a grandchild may hold the pipe open
                elif now - last > SILENCE:
                    say(f"  ... {step.name} still runs, {now - began:.0f} s of {step.limit:.0f}")
                    last = now
                if now - began > step.limit:
                    _end(child)
                    return 124, f"took longer than {step.limit:.0f} s"
            status = child.wait()
            return status, "stopped" if _stopping.is_set() else ""
        except BaseException:
            _end(child)
            raise
        finally:
            _running.discard(child)


def _copy(piece: bytes) -> bytes:
    os.write(1, piece)
    return b""


def _print(name: str, text: bytes) -> bytes:
    """Print the whole lines of a text behind a name; gives what is left of the last one."""
    lines = text.split(b"\n")
    for line in lines[:-1]:
        os.write(1, f"{name} | ".encode() + line + b"\n")
    return lines[-1]


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the step's process group to stop, wait for it to clean up, then make it."""
    for sign, patience in ((signal.SIGINT, PATIENCE), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(child.pid, sign)
            child.wait(patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
