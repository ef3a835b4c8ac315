# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration as pulse itself needs it: is it good, and how long may the heart be silent.

It reads and copies the file; what the directives mean is the lvs_cf library's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from piranha import files
from piranha.core.lvs_cf.findings import ERROR, WARNING
from piranha.fos.settings import stop_limit
from piranha.pulse.hooks import NO_COMMANDS, Commands

from . import reading

MAX_FILE = 16 * 1024 * 1024
"""Bytes of lvs.cf that are read; 16,000 real servers take about 3 MB."""


class ConfigError(Exception):
    """The configuration cannot be used; the text is one sentence a mistake, a line each."""


@dataclass(frozen=True)
class Settings:
    """A configuration that passed the check. deadtime: seconds."""

    text: str
    deadtime: float
    warnings: tuple[str, ...] = ()
    service: str = "lvs"
    commands: Commands = NO_COMMANDS
    stop_limit: float = 0.0
    """Seconds that stopping all failover services may take."""


def load(path: Path) -> Settings:
    """Read and check the file; ConfigError tells each mistake as file:line:column: sentence."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; write it, or name another one with -c"
        ) from None
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    if len(data) > MAX_FILE:
        raise ConfigError(f"{path}: is larger than {MAX_FILE} bytes; this cannot be an lvs.cf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ConfigError(f"{path}:{line}:1: is not UTF-8 text; save it as UTF-8") from None
    return judge(text, str(path))


def judge(text: str, name: str) -> Settings:
    """Check the text of a configuration called `name`."""
    loaded = reading.load(text)
    errors = [f.format(name) for f in loaded.findings if f.severity == ERROR]
    if errors:
        raise ConfigError("\n".join(errors))
    deadtime = loaded.config.globals.seconds("deadtime")
    if not deadtime:
        raise ConfigError(f"{name}: deadtime must be above 0")
    warnings = [f.format(name) for f in loaded.findings if f.severity == WARNING]
    section = loaded.config.globals
    return Settings(
        text,
        deadtime,
        tuple(warnings),
        service=section.text("service") or "lvs",
        commands=Commands.of(section),
        stop_limit=stop_limit(loaded.config),
    )


def put_in_force(settings: Settings, target: Path) -> None:
    """Write the text to `target` (0600) so that a reader sees the old or the new one whole."""
    files.replace(target, settings.text)
