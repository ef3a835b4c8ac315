# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's main() in this process, as often as a test likes: options in, result out.

The real AnsibleModule parses the options and prints the result, so that nothing between a task
and the module's own code is left out; only the start of a process is.
"""

from __future__ import annotations

import contextlib
import io
import json
from types import ModuleType
from typing import Any
from unittest import mock

from ansible.module_utils import basic


def run(module: ModuleType, check: bool = False, diff: bool = False, **options: object) -> Any:
    """The module's result; ``failed`` and ``warnings`` are in it either way."""
    flags = {"_ansible_check_mode": check, "_ansible_diff": diff}
    given = {"ANSIBLE_MODULE_ARGS": {**options, **flags}}
    basic._ANSIBLE_ARGS = json.dumps(given).encode()
    basic._ANSIBLE_PROFILE = "legacy"  # how ansible-core 2.19 and later write it down
    printed = io.StringIO()
    warnings: list[str] = []  # Ansible keeps them for the process, and here that goes on
    with (
        mock.patch.object(basic.AnsibleModule, "warn", lambda _self, text: warnings.append(text)),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        module.main()
    result = json.loads(printed.getvalue())
    return {"failed": False, **result, "warnings": warnings}
