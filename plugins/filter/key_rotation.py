# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps by which the routers of a cluster change their heartbeat key without losing each other.

Pure: what is in the key files goes in, what shall be in them step after step comes out. At every
moment of every step each router accepts the key that the other sends with, whichever of the two has
taken the step already.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: key_rotation
short_description: Plan the change of the heartbeat key of a cluster
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Gives the contents of the routers' key files, step after step, so that their heartbeats stay valid all the time. First both
    accept the new key beside the old one, then both send with it, then both forget the old one.
  - Every router must have taken a step, and read its file again, before any takes the next.
  - Where a change was interrupted, that change is brought to an end instead, from whatever step it had come to.
  - The playbook C(piranha.lvs.rotate_key) uses it.
positional: active, wanted
options:
  _input:
    description: The contents of the key file of each router, by the router's name.
    type: dict
    required: true
  active:
    description: The router that is active; an interrupted change ends with the key that it sends with.
    type: str
    required: true
  wanted:
    description: The new key, 64 hexadecimal digits.
    type: str
    required: true
seealso:
  - plugin: piranha.lvs.cluster
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say how many steps it takes
  ansible.builtin.debug:
    msg: "{{ (files | piranha.lvs.key_rotation('lvs1', new_key)).steps | length }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The plan. It holds the keys themselves.
  type: dict
  contains:
    steps:
      description: For each step the contents of each router's file.
      type: list
      elements: dict
      sample: []
    resumed:
      description: Whether this ends a change that was interrupted, so that O(wanted) has no part in it.
      type: bool
      sample: false
"""

import re
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

_KEY = re.compile(r"[0-9a-fA-F]{64}")
_MOST = 2  # keys in a file


def key_rotation(files: t.Any, active: t.Any, wanted: t.Any) -> dict[str, t.Any]:
    """Give the plan. AnsibleFilterError, which never holds a key, where there can be none."""
    if not isinstance(files, Mapping) or active not in files:
        raise AnsibleFilterError("key_rotation takes the key files by router, and the name of the active one of them")
    keys = {str(router): _keys(str(router), str(text)) for router, text in files.items()}
    known = list(dict.fromkeys(key for router in (active, *keys) for key in keys[router]))
    if len(known) > _MOST:
        raise AnsibleFilterError(
            "the routers have more than two heartbeat keys between them, so they do not hear each other; "
            "first give all the same one, run piranha.lvs.site"
        )
    if len(known) == _MOST:
        # The active router sends with `new`. Whoever does not accept that has not taken the first step.
        new, old = known
        if any(len(each) == 1 for each in keys.values()) and not any(len(each) == _MOST for each in keys.values()):
            raise AnsibleFilterError(
                "the routers' heartbeat keys differ, so they do not hear each other; first give all the same one, "
                "run piranha.lvs.site"
            )
    else:
        (old,), (new, *_others) = known, _keys("the new key", str(wanted))
        if new == old:
            return {"steps": [], "resumed": False}
    accept = {router: [*each, *({new, old} - set(each))] for router, each in keys.items()}
    send = {router: [new, old] for router in keys}
    forget = {router: [new] for router in keys}
    return {
        "steps": [
            {router: "".join(f"{key}\n" for key in each) for router, each in step.items()}
            for step in (accept, send, forget)
        ],
        "resumed": len(known) == _MOST,
    }


def _keys(whose: str, text: str) -> list[str]:
    found = text.lower().split()
    if not 1 <= len(found) <= _MOST or not all(_KEY.fullmatch(key) for key in found):
        raise AnsibleFilterError(f"{whose}: a heartbeat key is 64 hexadecimal digits, one key or two in a file, and this is something else")
    return found


class FilterModule:
    """What Ansible asks a filter file for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"key_rotation": key_rotation}
