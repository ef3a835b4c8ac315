# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of hearts start with: the network, and two hearts in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.heart_lab import Heart, Net, network, settle, two_hearts

Three = tuple[Net, Heart, Heart]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    """One network for all tests of a file."""
    with network() as made:
        yield made


@pytest.fixture
def three(net: Net, tmp_path: Path) -> Iterator[Three]:
    """The network, the primary's heart and the backup's; neither is started."""
    with two_hearts(net, tmp_path) as (primary, backup):
        yield net, primary, backup


@pytest.fixture
def settled(three: Three) -> Three:
    """The same with both started, the primary active and each knowing the other."""
    _net, primary, backup = three
    primary.start()
    backup.start()
    settle(primary, backup)
    return three
