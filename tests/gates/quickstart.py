# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""README's quickstart, word for word, on the bare machines of the lab.

The two files are written as README shows them, each command is run as it stands there, what README
shows of the dry run must be in what it prints, and the cluster must answer a client afterwards. All
that is added is how this machine reaches the lab (group_vars/all.yml). Puts the lab up and down.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from .collection import build
from .machine import BUILD, ROOT, VENV_BIN, Trouble, main_guarded, run_shown, say

HOME = BUILD / "quickstart"
LAB = str(ROOT / "tests/lab/lab")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
VIRTUAL, REQUESTS = "http://203.0.113.100/", 10
CONNECTION = {
    "ansible_user": "root",
    "ansible_become": False,
    "ansible_python_interpreter": "/usr/bin/python3",
    "ansible_ssh_executable": str(ROOT / "tests/lab/ssh"),
    "ansible_ssh_common_args": f"-F {BUILD / 'lab/ssh_config'}",
    "ansible_ssh_transfer_method": "piped",
    "ansible_control_path_dir": str(BUILD / "lab/connections"),
}


def section(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of README's quickstart: language and text."""
    found = re.search(r"^## Quickstart\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise Trouble("README.md has no quickstart")
    return BLOCK.findall(found[1])


def commands(blocks: list[tuple[str, str]], prompt: str) -> list[list[str]]:
    """The commands behind a prompt: `$` on the controller, `#` on the active router."""
    return [
        shlex.split(line.removeprefix(prompt))
        for language, text in blocks
        if language == "console"
        for line in text.splitlines()
        if line.startswith(f"{prompt} ")
    ]


def write_files(blocks: list[tuple[str, str]]) -> None:
    """Write the files that the quickstart shows, and how the lab is reached."""
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "group_vars").mkdir(parents=True)
    (HOME / "group_vars/all.yml").write_text(json.dumps(CONNECTION), encoding="utf-8")
    for language, text in blocks:
        name = re.match(r"# (\S+\.yml)\n", text)
        if language == "yaml" and name:
            (HOME / name[1]).write_text(text, encoding="utf-8")
    shutil.copy(build(), HOME)


def controller(argv: list[str]) -> str:
    """Run a command of the controller's; gives what it prints."""
    say("  $ " + shlex.join(argv))
    env = dict(
        os.environ,
        PATH=f"{VENV_BIN}:{os.environ['PATH']}",
        ANSIBLE_COLLECTIONS_PATH=str(HOME / "collections"),
        ANSIBLE_NOCOLOR="1",
    )
    done = subprocess.run(
        argv, cwd=HOME, env=env, capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        raise Trouble(f"it failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return done.stdout


def changed(said: str) -> int:
    """How many tasks changed something, by Ansible's own count."""
    return sum(int(count) for count in re.findall(r"changed=(\d+)", said))


def on(machine: str, argv: list[str], patience: float = 0) -> str:
    """Run a command on a machine of the lab, until it succeeds; gives what it prints."""
    say(f"  {machine} # {shlex.join(argv)}")
    end = time.monotonic() + patience
    while True:
        done = subprocess.run(
            [LAB, "run", machine, "--", *argv],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode == 0:
            return done.stdout
        if time.monotonic() > end:
            raise Trouble(f"it failed on {machine}: {done.stdout}{done.stderr}")
        time.sleep(2)


def follow(blocks: list[tuple[str, str]]) -> None:
    """Do what README says; Trouble where it does not come out as README says."""
    said = [controller(argv) for argv in commands(blocks, "$")]
    shown = next(text for language, text in blocks if language == "diff")
    diff = shown.splitlines()[1:]
    if "\n".join(diff) not in said[1].replace(str(HOME), ""):
        raise Trouble(f"the dry run does not print what README shows:\n{said[1][-6000:]}")
    if not changed(said[2]) or changed(controller(commands(blocks, "$")[2])):
        raise Trouble("the run in earnest changed nothing, or a second one did something again")
    # The first checks of real servers are still under way.
    on("lvs1", ["piranha", "status"], patience=60)
    seen = [on("lvs1", argv) for argv in commands(blocks, "#")]
    for server in ("192.0.2.21:80", "192.0.2.22:80"):
        if server not in seen[0]:
            raise Trouble(f"{server} is not in the table:\n{seen[0]}")
    pages = {on("client", ["curl", "-s", "-m", "5", VIRTUAL]) for _each in range(REQUESTS)}
    if {page.strip() for page in pages} != {"web1", "web2"}:
        raise Trouble(f"the client got these pages: {sorted(pages)}")


def main() -> int:
    """Follow README in a lab of its own."""
    blocks = section(Path(ROOT / "README.md").read_text(encoding="utf-8"))
    write_files(blocks)
    try:
        if run_shown([LAB, "up"]) != 0:
            raise Trouble("the lab did not come up; the reason is above")
        follow(blocks)
    finally:
        run_shown([LAB, "down"])
    say("README's quickstart does what it says")
    return 0


if __name__ == "__main__":
    main_guarded(main)
