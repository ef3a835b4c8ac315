# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads lvs.cf from the disk for fos, or says why that cannot be; resolves names in its checks."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from piranha.core.lvs_cf import api
from piranha.core.lvs_cf.config import Config
from piranha.core.lvs_cf.values import is_address

from .settings import Service, services


class SourceError(Exception):
    """The file cannot be used; the text is a sentence for each reason."""


@dataclass(frozen=True)
class Source:
    """What fos takes from a configuration. digest: of its meaning."""

    services: tuple[Service, ...]
    digest: str


def load(path: Path) -> Source:
    """Read and check the file; SourceError where it is no good."""
    try:
        loaded = api.load(api.decode(path.read_bytes()), str(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if loaded.errors:
        raise SourceError("; ".join(found.format(str(path)) for found in loaded.errors))
    addresses = {name: _resolve(path, name) for name in _names(loaded.config)}
    return Source(services(loaded.config, addresses), api.digest(loaded.config))


def _names(config: Config) -> set[str]:
    written = [block.settings.text("check_address") for block in config.failover]
    return {name for name in written if name and not is_address(name)}


def _resolve(path: Path, name: str) -> str:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SourceError(
            f"{path}: the name {name} cannot be resolved: {error.strerror}; write the address"
        ) from None
    return str(found[0][4][0])
