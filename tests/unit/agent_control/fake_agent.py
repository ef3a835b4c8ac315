# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real pulse with children that only pretend: `python -m ... fake_agent CONFIG RUN_DIR`.

The children speak as the real ones do, touch no network, and write what they did to files of the
run folder. Files there named `heart.mood` and `lvsd.mood` say how they behave:
hang (ticks no more), die (ends at once), stubborn (does not stop), refuse (no reload), crash,
cannot (run with this configuration).
"""

from __future__ import annotations

import select
import socket
import sys
import time
from pathlib import Path

from piranha.control.link import Link
from piranha.pulse.supervisor import Jobs, run


def note(run_dir: Path, text: str) -> None:
    """Add a line to the diary of what children did."""
    with (run_dir / "diary").open("a", encoding="utf-8") as file:
        file.write(f"{time.monotonic():.3f} {text}\n")


class Pretender:
    """One child's life."""

    def __init__(self, name: str, sock: socket.socket, config: Path, run_dir: Path) -> None:
        self.name, self.link, self.config, self.run_dir = name, Link(sock), config, run_dir

    def mood(self) -> str:
        try:
            return (self.run_dir / f"{self.name}.mood").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def live(self) -> int:
        note(self.run_dir, f"{self.name} starts")
        while True:
            mood = self.mood()
            if mood == "die":
                return 3
            if mood == "cannot":
                self.link.send({"event": {"level": "crit", "text": "there is no heartbeat key"}})
                return 78
            if mood == "crash":
                raise RuntimeError("made to crash")
            if mood == "hang":
                time.sleep(60)
            self.link.send({"tick": time.monotonic()})
            self.link.send({"state": {"text": self.config.read_text(encoding="utf-8")[-40:]}})
            if select.select([self.link], [], [], 0.05)[0]:
                for message in self.link.receive():
                    if self.answer(message, mood):
                        return 0
                if self.link.closed:
                    return 9

    def answer(self, message: dict[str, object], mood: str) -> bool:
        if message["do"] == "services":
            # Whoever asks for the status asks for that: no news.
            page = {"text": '{"name":"web","servers":[]}', "next": None}
            self.link.send({"answer": message["ask"], "ok": True, "result": page})
            return False
        note(self.run_dir, f"{self.name} is asked to {message['do']}")
        if message["do"] == "override":
            result = {"changed": True, "heard": message["with"]}
            self.link.send({"answer": message["ask"], "ok": True, "result": result})
            return False
        if mood == "refuse":
            self.link.send({"answer": message["ask"], "ok": False, "error": "eth9: no such device"})
            return False
        if message["do"] == "stop" and mood == "stubborn":
            return False
        if message["do"] == "reload":
            self.link.send({"event": {"level": "notice", "text": "read it again"}})
        self.link.send({"answer": message["ask"], "ok": True, "result": {}})
        return message["do"] == "stop"


def heart(sock: socket.socket, config: Path, run_dir: Path) -> int:
    """Pretend to be the heart."""
    return Pretender("heart", sock, config, run_dir).live()


def forced(sock: socket.socket, config: Path, run_dir: Path) -> int:
    """Pretend to be a heart that takes the addresses at once."""
    note(run_dir, "heart is forced")
    return heart(sock, config, run_dir)


def lvsd(sock: socket.socket, config: Path, run_dir: Path) -> int:
    """Pretend to be lvsd."""
    return Pretender("lvsd", sock, config, run_dir).live()


def fos(sock: socket.socket, config: Path, run_dir: Path) -> int:
    """Pretend to be fos."""
    return Pretender("fos", sock, config, run_dir).live()


def resign(config: Path, run_dir: Path) -> None:
    """Pretend to resign."""
    note(run_dir, "resigned")
    if (run_dir / "resign.mood").exists():
        raise RuntimeError("the kernel said no")


def rehearse(config: Path, link: Link) -> None:
    """Pretend to rehearse."""
    link.send({"rehearsed": len(config.read_bytes())})


if __name__ == "__main__":
    jobs = Jobs(heart, lvsd, resign, rehearse, fos, forced=forced)
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2]), jobs, force="force" in sys.argv))
