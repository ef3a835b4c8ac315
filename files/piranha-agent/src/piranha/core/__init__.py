# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the agent finds the two shared libraries, `lvs_cf` and `ipvs`.

The bundle copies both into this folder. In a checkout they live in the collection's
plugins/module_utils, and this package adds that folder to its own search path, so that
`piranha.core.lvs_cf` names the same code in both. This file holds nothing else.
"""

from __future__ import annotations

from pathlib import Path

_LIBRARIES = ("lvs_cf", "ipvs")


def _checkout_folder() -> Path | None:
    """The checkout's plugins/module_utils, or None when no folder above this one has it."""
    for parent in Path(__file__).resolve().parents:
        folder = parent / "plugins" / "module_utils"
        if all((folder / name).is_dir() for name in _LIBRARIES):
            return folder
    return None


if not all((Path(__file__).parent / name).is_dir() for name in _LIBRARIES):
    _folder = _checkout_folder()
    if _folder is not None:
        __path__.append(str(_folder))
