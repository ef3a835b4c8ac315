# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the keys that authenticate heartbeats from their file. It makes no keys; the role does.

Two keys are for changing the key while the service runs, each step a reload that nobody notices:
the new key on a second line of both routers' files, then on the first line of both, then alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .wire import Key

KEY_PATH = Path("/etc/piranha/heartbeat.key")
DIGITS = 64
MOST = 2
"""Keys in a file: the one to send with, and another that is accepted as well."""
_LONGEST = 4096


class KeyFileError(Exception):
    """The key file cannot be used; the text is one sentence with place, reason and remedy."""


def read_keys(path: Path = KEY_PATH) -> tuple[Key, ...]:
    """Give the keys in a file, the one to send with first.

    The file holds 64 hexadecimal digits on a line, on two lines while the key is being changed, and
    only its owner may read it.
    Raises KeyFileError, with one sentence, for anything else.
    """
    try:
        # NONBLOCK: a FIFO in its place must not stop the heart.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise KeyFileError(
            f"{path}: there is no heartbeat key; copy the partner's file, or make one with"
            f" 'openssl rand -hex 32' on one router and give both the same, mode 0600"
        ) from error
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot read the heartbeat key ({error.strerror}); check owner and mode"
        ) from error
    try:
        _check_owner(path, os.fstat(handle))
        content = os.read(handle, _LONGEST)
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot read the heartbeat key ({error.strerror}); check the file"
        ) from error
    finally:
        os.close(handle)
    return _parse(path, content)


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path}: the heartbeat key must be a plain file; replace it by one")
    if status.st_mode & 0o077:
        raise KeyFileError(
            f"{path}: others may read or change the heartbeat key"
            f" (mode {stat.S_IMODE(status.st_mode):04o}); run 'chmod 0600 {path}' and, since it"
            f" may be known already, make a new key for both routers"
        )
    if status.st_uid not in (0, os.geteuid()):
        raise KeyFileError(
            f"{path}: the heartbeat key belongs to user {status.st_uid}; run 'chown root {path}'"
        )


def _parse(path: Path, content: bytes) -> tuple[Key, ...]:
    lines = content.decode("ascii", "replace").split("\n")
    texts = [line.strip() for line in lines if line.strip()]
    if len(texts) > MOST:
        raise KeyFileError(
            f"{path}: there are {len(texts)} lines, but a heartbeat key file holds one key, or two"
            f" while the key is being changed; remove the keys that neither router sends with"
        )
    keys = tuple(
        _key(path, text, "" if len(texts) == 1 else f" on line {number}")
        for number, text in enumerate(texts or [""], 1)
    )
    if len(set(keys)) != len(keys):
        raise KeyFileError(
            f"{path}: both lines have the same heartbeat key; remove one, or put the new key there"
        )
    return keys


def _key(path: Path, text: str, where: str) -> Key:
    if len(text) != DIGITS or any(digit not in "0123456789abcdefABCDEF" for digit in text):
        raise KeyFileError(
            f"{path}: the heartbeat key{where} must be {DIGITS} hexadecimal digits, but"
            f" {_what_is_wrong(text)}; copy the partner's file, or make a new key for both"
            f" routers with 'openssl rand -hex 32'"
        )
    secret = bytes.fromhex(text)
    if len(set(secret)) == 1:
        raise KeyFileError(
            f"{path}: the heartbeat key{where} repeats one byte and protects nothing;"
            f" make a new key for both routers with 'openssl rand -hex 32'"
        )
    return Key.of(secret)


def _what_is_wrong(text: str) -> str:
    if not text:
        return "the file is empty"
    if len(text.split()) > 1:
        return f"it has {len(text.split())} words"
    if len(text) != DIGITS:
        return f"it has {len(text)} characters"
    # Neither the digits nor their positions: the key must not reach a log.
    return "other characters are among them"
