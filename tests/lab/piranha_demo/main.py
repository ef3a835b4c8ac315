# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the demo and cleans up, whatever happens: success, failure, Ctrl-C, TERM.

Exit status: 0 if everything shown held, 1 if something did not, 130 if it was interrupted.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

from .programs import DemoError, Interrupted, Programs
from .show import Screen, Shown, clock, table
from .story import CLIENT, MANAGED, Story

HELD, NOT_HELD, INTERRUPTED = 0, 1, 130


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an exception of the main thread."""
    raise Interrupted(signal.Signals(number).name)


def listen(handler: object) -> None:
    """Install a handler for the signals that ask us to stop."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)  # type: ignore[arg-type]


def main(root: Path) -> int:
    """Tell the story and give the exit status."""
    screen, programs = Screen(), Programs()
    story = Story(root, screen, programs)
    keep = os.environ.get("KEEP", "") not in ("", "0")
    status = NOT_HELD
    listen(interrupt)
    try:
        try:
            story.tell()
            status = HELD if story.shown and all(row.held for row in story.shown) else NOT_HELD
        except DemoError as problem:
            story.shown.append(Shown("the demo went through to its end", str(problem), False))
        if keep:
            enter(story, screen)
    except Interrupted as signal_name:
        status, keep = INTERRUPTED, False
        screen.say(f"{signal_name}: cleaning up, one moment")
    finally:
        # From here on nothing may interrupt, or traces would stay.
        listen(signal.SIG_IGN)
        programs.stop_all()
        if not keep and not clean(story, screen):
            status = status or NOT_HELD
    if status != INTERRUPTED:
        screen.plain(f"\n{table(story.shown)}")
    verdict = {HELD: "all of it held", NOT_HELD: "NOT all of it held", INTERRUPTED: "interrupted"}
    screen.plain(f"\n{clock(screen.elapsed())} {verdict[status]}; {screen.elapsed():.0f} s in all")
    return status


def clean(story: Story, screen: Screen) -> bool:
    """Take the lab down; tell whether that worked."""
    screen.heading("Clean up")
    try:
        status = Programs().stream(
            [story.lab.command, "down"], screen.say, alive=lambda seconds: None, limit=120
        )
    except (DemoError, OSError) as problem:
        screen.say(str(problem))
        return False
    if status != 0:
        screen.say("the lab did not go down cleanly; `make lab-down` tries again")
    return status == 0


def enter(story: Story, screen: Screen) -> None:
    """Say how to get into each machine of a lab that stays."""
    screen.heading("The cluster stays up (KEEP=1)")
    for machine in (*MANAGED, CLIENT):
        screen.say(f"tests/lab/lab enter {machine}")
    screen.say("make lab-down      removes every trace")
