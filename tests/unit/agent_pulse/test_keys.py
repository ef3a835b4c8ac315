# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key file: read when it is safe and right, else refused in one sentence without the key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from piranha.pulse.keys import KeyFileError, read_keys

GOOD = bytes(range(32)).hex()


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "heartbeat.key"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [GOOD, GOOD + "\n", GOOD.upper() + "\r\n"])
def test_good(tmp_path: Path, text: str) -> None:
    (key,) = read_keys(key_file(tmp_path, text))
    assert key.secret == bytes(range(32))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        (GOOD[:-1], "63 characters"),
        (GOOD[:-1] + "g", "other characters"),
        (GOOD + "\n" + GOOD, "2 words"),
        ("00" * 32, "repeats one byte"),
        ("\xff\xfe", "characters"),
    ],
    ids=["empty", "short", "no-hex", "two", "zeros", "binary"],
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
