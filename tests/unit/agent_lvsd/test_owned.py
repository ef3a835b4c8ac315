# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lvsd remembers of its services."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from piranha.core.ipvs.model import ServiceKey
from piranha.lvsd.owned import Owned, OwnedError

KEYS = frozenset(
    {
        ServiceKey.by_address("tcp", "203.0.113.100", 80),
        ServiceKey.by_address("udp", "2001:db8::1", 53),
        ServiceKey.by_mark(7),
        ServiceKey.by_mark(7, "ipv6"),
    }
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert Owned(tmp_path).load() == frozenset()
    Owned(tmp_path).save(KEYS)
    assert Owned(tmp_path).load() == KEYS
    assert [path.name for path in tmp_path.iterdir()] == ["owned.json"]
    assert stat.S_IMODE((tmp_path / "owned.json").stat().st_mode) == 0o600


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    owned = Owned(tmp_path)
    owned.save(KEYS)
    before = (tmp_path / "owned.json").stat().st_ino
    owned.save(KEYS)
    assert (tmp_path / "owned.json").stat().st_ino == before


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "owned.json").symlink_to(victim)
    Owned(folder).save(KEYS)
    assert victim.read_text() == "precious"
    assert not (folder / "owned.json").is_symlink()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"services": [1]}', '{"services": [{"family": "x"}]}', '{"a": 1}']
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "owned.json").write_text(text)
    with pytest.raises(OwnedError, match="stay in the table until somebody removes them"):
        Owned(tmp_path).load()


def test_no_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OwnedError, match="cannot be written"):
        Owned(tmp_path / "nowhere").save(KEYS)
