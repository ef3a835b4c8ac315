# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of page and editor, /etc/piranha/gui.json: JSON, root's, read by both.

What is not in it has its default; what is in it and wrong is told in one sentence. It holds no
secret: the key of the certificate is a file of its own, users are in gui-users.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from piranha.gui.protocol import OPERATE, PORT, ROLES, SCRIPTS, SETTINGS, USERS

HIGHEST_PORT = 65535


class SettingsError(ValueError):
    """The settings cannot be used; the text is one sentence with the file's name."""


@dataclass(frozen=True)
class Settings:
    """What the file may say.

    ceiling: the most that anybody may do by the page. It is `operate` unless said otherwise: most
    clusters have their lvs.cf from Ansible, and whoever steals a session could otherwise turn the
    whole traffic away. edit_managed: let the page write a file that Ansible wrote. address, port:
    where the page listens. certificate, key: files (PEM); without both the page listens on
    loopback only. users: file of the accounts. scripts: folder of the programs to choose from.
    """

    ceiling: str = OPERATE
    edit_managed: bool = False
    address: str = "127.0.0.1"
    port: int = PORT
    certificate: str = ""
    key: str = ""
    users: str = USERS
    scripts: str = SCRIPTS
    cluster: str = ""
    playbook: str = "piranha.lvs.site"


def read(text: str, name: str = SETTINGS) -> Settings:
    """Read the text of the file; SettingsError."""
    try:
        data = json.loads(text)
    except ValueError as why:
        raise SettingsError(f"{name}: is not JSON ({why}); correct it") from None
    if not isinstance(data, Mapping):
        raise SettingsError(f"{name}: is not a mapping of settings; write {{}} for the defaults")
    known = {field.name: field for field in fields(Settings)}
    for key, value in data.items():
        if key not in known:
            listed = ", ".join(known)
            raise SettingsError(f"{name}: there is no setting {str(key)[:40]!r}; known: {listed}")
        wanted = type(known[key].default)
        # To Python a truth is a number.
        if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
            raise SettingsError(f"{name}: {key} must be a {_WORDS[wanted]}, not {value!r}"[:200])
    found = Settings(**data)
    if found.ceiling not in ROLES:
        raise SettingsError(
            f"{name}: ceiling must be one of {', '.join(ROLES)}, not {found.ceiling!r}"
        )
    if not 0 < found.port <= HIGHEST_PORT:
        raise SettingsError(f"{name}: port must be 1 to {HIGHEST_PORT}, not {found.port}")
    if bool(found.certificate) != bool(found.key):
        raise SettingsError(f"{name}: certificate and key belong together; give both or neither")
    return found


_WORDS: Mapping[type, str] = {str: "text", bool: "true or false", int: "number"}


def load(path: Path = Path(SETTINGS)) -> Settings:
    """Read the file; its defaults where there is none. SettingsError."""
    try:
        return read(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as why:
        reason = why.strerror if isinstance(why, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{path}: cannot be read: {reason}") from None
