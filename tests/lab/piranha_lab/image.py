# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines' disk image: made once by mmdebstrap, cached by what its recipe says.

Leaves alone what differs from machine to machine (see files.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import host
from .errors import LabError

RECIPE = Path(__file__).resolve().parent.parent / "image.yml"
APT = Path("/etc/apt")
LIMIT = 900  # seconds; it takes 30 to 90
# Counts up when this file makes another image of the same recipe.
EDITION = 1


@dataclass(frozen=True)
class Recipe:
    """What an image is made of."""

    suite: str
    packages: tuple[str, ...]
    left_out: tuple[str, ...]
    masked: tuple[str, ...]
    disabled: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The name under which the image is cached."""
        text = json.dumps([EDITION, self.suite, self.packages, self.left_out, self.masked,
                           self.disabled])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_recipe(path: Path, suite: str) -> Recipe:
    """The recipe of a file; LabError where it is not one."""
    data = yaml.safe_load(path.read_text())
    parts = []
    for key in ("packages", "left_out", "masked", "disabled"):
        value = data.get(key) if isinstance(data, dict) else None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise LabError(f"{path}: {key} must be a list of words.")
        parts.append(tuple(value))
    return Recipe(suite, *parts)


def suite_of(os_release: str) -> str:
    """The Debian suite that this host runs, from its /etc/os-release."""
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    if values.get("ID") != "debian" or not values.get("VERSION_CODENAME"):
        raise LabError("the lab's images are made from this host's own Debian packages, and this "
                       "host is no Debian. Remedy: run the lab on Debian 12 or later.")
    return str(values["VERSION_CODENAME"])


def own_suite() -> str:
    """The Debian suite of this very host."""
    return suite_of(Path("/etc/os-release").read_text())


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n[ \t]*\n", text):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        fields = re.findall(r"^([\w-]+):((?:[^\n]*)(?:\n[ \t][^\n]*)*)", "\n".join(lines),
                            re.MULTILINE)
        yield {key.lower(): value.strip() for key, value in fields}


def sources(files: Mapping[str, str], suite: str) -> list[str]:
    """The one-line apt sources for a suite and its updates, out of this host's own source files.

    files: their texts by name (.list or .sources). Sources of other suites are left out, since
    the machines need nothing but the distribution.
    """
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    found = []
    for name, text in sorted(files.items()):
        if name.endswith(".sources"):
            for stanza in _stanzas(text):
                if "deb" not in stanza.get("types", "").split() or \
                        stanza.get("enabled", "yes").lower() == "no":
                    continue
                key = stanza.get("signed-by", "")
                option = f"[signed-by={key}] " if key.startswith("/") else ""
                found += [
                    f"deb {option}{uri} {entry} {stanza.get('components', 'main')}"
                    for uri in stanza.get("uris", "").split()
                    for entry in stanza.get("suites", "").split() if entry in wanted
                ]
        else:
            lines = (line.split("#")[0].strip() for line in text.splitlines())
            found += [line for line in lines
                      if re.match(r"deb\s", line) and wanted & set(line.split())]
    if not any(suite in line.split() for line in found):
        raise LabError(f"no apt source of this host offers {suite}: see /etc/apt/sources.list and "
                       "sources.list.d; the lab makes its images from there.")
    return found


def host_sources(suite: str, own: str) -> list[str]:
    """sources() of this very host, whose own suite is `own`.

    Another suite is taken from the same places, for Debian keeps all of them side by side.
    """
    paths = [APT / "sources.list", *APT.glob("sources.list.d/*.list"),
             *APT.glob("sources.list.d/*.sources")]
    found = sources({p.name: p.read_text() for p in paths if p.is_file()}, own)
    return [re.sub(rf"(?<=\s){own}\b", suite, line) for line in found]


def bootstrap(recipe: Recipe, target: Path, options: Path) -> list[str]:
    """The command that makes the image; the sources go to its standard input."""
    return [
        "mmdebstrap", "--variant=minbase", "--format=directory", "--mode=root",
        f"--include={','.join(recipe.packages)}", f"--aptopt={options}",
        *(f"--dpkgopt=path-exclude={path}" for path in recipe.left_out),
        recipe.suite, str(target), "-",
    ]


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where images are kept between runs."""
    base = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '/root')}/.cache"
    return Path(base) / "piranha-lvs"


def ensure(say: Callable[[str], None]) -> Path:
    """The folder of the image, made now if the cache has none of this recipe."""
    recipe = read_recipe(RECIPE, os.environ.get("PIRANHA_LAB_SUITE") or own_suite())
    folder = cache_folder(os.environ)
    image = folder / f"image-{recipe.digest}"
    if image.is_dir():
        return image
    host.need(["mmdebstrap"])
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder, say):
        if not image.is_dir():
            for left in folder.glob("making-*"):
                host.remove(left)  # of a run that was cut off: we hold the lock
            _make(recipe, folder, image, say)
    return image


@contextmanager
def _lock(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("image: somebody else is making one; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(recipe: Recipe, folder: Path, image: Path, say: Callable[[str], None]) -> None:
    making = folder / f"making-{secrets.token_hex(4)}"
    making.mkdir(mode=0o700)
    try:
        options = making / "apt.conf"
        options.write_text(_apt_options())
        say(f"image: making one of Debian {recipe.suite} (once; kept in {folder})")
        _run_bootstrap(recipe, making, options, say)
        _finish(recipe, making / "root")
        (making / "root").rename(image)
    finally:
        host.unmount_below(making)
        host.remove(making)
    say("image: done")


def _apt_options() -> str:
    """How this host's apt reaches its archive: proxies, certificates, checks of dates, retries."""
    wanted = re.compile(r'Acquire::(https?::|Check-|Retries)[^ ]* ".+";')
    lines = host.run(["apt-config", "dump"]).splitlines()
    return "".join(f"{line}\n" for line in lines if wanted.fullmatch(line))


def _run_bootstrap(recipe: Recipe, making: Path, options: Path, say: Callable[[str], None]) -> None:
    log = making / "log"
    begun = told = time.monotonic()
    with log.open("w") as out, subprocess.Popen(
        bootstrap(recipe, making / "root", options), stdin=subprocess.PIPE, stdout=out,
        stderr=subprocess.STDOUT, text=True,
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write("\n".join([*host_sources(recipe.suite, own_suite()), ""]))
            process.stdin.close()
            while process.poll() is None:
                now = time.monotonic()
                if now - begun > LIMIT:
                    raise LabError(f"image: not done after {LIMIT} s. Remedy: look whether this "
                                   "host reaches its package archive (apt-get update).")
                if now - told >= 5:
                    told = now
                    say(f"image: {_doing(log.read_text())} ({now - begun:.0f} s)")
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.terminate()  # mmdebstrap takes its own mounts off
                process.wait(60)
    if process.returncode:
        tail = "\n  ".join(_errors(log.read_text().splitlines()))
        raise LabError(f"image: mmdebstrap failed:\n  {tail}\nRemedy: look whether this host "
                       "reaches its package archive (apt-get update).")


def _doing(log: str) -> str:
    steps = re.findall(r"^I: (.*?)\.*$", log, re.MULTILINE)
    return steps[-1] if steps else "starting"


def _errors(lines: Sequence[str]) -> list[str]:
    named = [line for line in lines if line.startswith(("E:", "W:"))]
    return (named or list(lines))[-6:]


def _finish(recipe: Recipe, root: Path) -> None:
    for unit in recipe.masked:
        path = root / "etc/systemd/system" / unit
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/null")
    for name in recipe.disabled:
        (root / "etc/systemd/system" / name).unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # each machine gets its own
    (root / "usr/lib/modules").mkdir(exist_ok=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "var/www/html").mkdir(parents=True, exist_ok=True)
    (root / "etc/machine-id").write_text("")
