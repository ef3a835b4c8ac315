# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the heart runs with: the configuration in force, and the key. Decides nothing."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from piranha.core.lvs_cf import api
from piranha.core.lvs_cf.pieces import Reader, Reading
from piranha.net.addresses import Addresses

from .heart_settings import HeartSettings, Outline, SettingsError, extract, outline
from .keys import KeyFileError, read_keys
from .wire import Key


class CannotRun(Exception):
    """The heart cannot start, or not take a new configuration; the text is one sentence."""


READER = Reader()
"""What pulse has read, its children need not read again: they begin as copies of it (warm.py)."""


def load(text: str) -> Reading:
    """Read a configuration's text, once, and only blocks that were not in the one before.

    pulse may call it before it forks (and with the new text on a reload), so that a heart that
    is started again finds it done: in a virtual machine that saves a tenth of a second, most of
    it in page faults.
    """
    return READER.load(text)


@functools.lru_cache(maxsize=1)
def outlined(text: str) -> Outline:
    """Give the outline of a configuration without errors; SettingsError.

    As `load`, for all that the heart needs of it: what it need not look at, it need not have
    copies of.
    """
    return outline(load(text).config)


def prepare(config_path: Path) -> None:
    """Do for the heart, before it is forked, what is the same wherever it is done.

    What is wrong, the heart will say. config_path: the configuration in force.
    """
    with contextlib.suppress(SettingsError):
        outlined(api.decode(config_path.read_bytes()))


def read_settings(config_path: Path, addresses: Addresses) -> tuple[HeartSettings, tuple[Key, ...]]:
    """Read the configuration and the key; CannotRun says what is wrong with them."""
    try:
        text = api.decode(config_path.read_bytes())
    except OSError as error:
        raise CannotRun(f"{config_path}: {error.strerror}") from None
    loaded = load(text)
    if loaded.errors:
        raise CannotRun("; ".join(found.format(str(config_path)) for found in loaded.errors))
    try:
        settings = extract(loaded.config, addresses.own(), outlined(text))
        signed = settings.timing.partnered and not settings.timing.classic
        keys = read_keys(settings.key_file) if signed else ()
    except SettingsError as error:
        raise CannotRun(f"{config_path}: {error}") from None
    except KeyFileError as error:
        raise CannotRun(str(error)) from None
    return settings, keys
