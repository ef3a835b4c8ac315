# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key file: read when it is safe and right, else refused in one sentence without the key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from piranha.pulse.keys import KeyFileError, read_keys

GOOD = bytes(range(32)).hex()
NEXT = bytes(range(1, 33)).hex()


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "heartbeat.key"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [GOOD, GOOD + "\n", GOOD.upper() + "\r\n"])
def test_good(tmp_path: Path, text: str) -> None:
    (key,) = read_keys(key_file(tmp_path, text))
    assert key.secret == bytes(range(32))


@pytest.mark.parametrize("text", [f"{GOOD}\n{NEXT}\n", f"\n{GOOD}\r\n\n  {NEXT}"])
def test_two_keys_while_the_key_is_changed(tmp_path: Path, text: str) -> None:
    first, second = read_keys(key_file(tmp_path, text))
    assert (first.secret.hex(), second.secret.hex()) == (GOOD, NEXT)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        (GOOD[:-1], "63 characters"),
        (GOOD[:-1] + "g", "other characters"),
        (GOOD + " " + GOOD, "2 words"),
        (GOOD + "\n" + GOOD.upper(), "both lines have the same"),
        (GOOD + "\n" + NEXT[1:], "on line 2 .* 63 characters"),
        (f"{GOOD}\n{NEXT}\n{GOOD}", "3 lines"),
        ("00" * 32, "repeats one byte"),
        ("\xff\xfe", "characters"),
    ],
    ids=["empty", "short", "no-hex", "two", "twice", "second", "three", "zeros", "binary"],
)
def test_wrong_content(tmp_path: Path, text: str, why: str) -> None:
    path = key_file(tmp_path, text)
    with pytest.raises(KeyFileError, match=why) as caught:
        read_keys(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    assert GOOD[:8] not in sentence.removeprefix(str(path))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_open_to_others(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileError, match="chmod 0600"):
        read_keys(key_file(tmp_path, GOOD, mode))


def test_absent_folder_and_fifo(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="there is no heartbeat key"):
        read_keys(tmp_path / "none")
    with pytest.raises(KeyFileError, match="plain file"):
        read_keys(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(KeyFileError, match="plain file"):
        read_keys(tmp_path / "fifo")
