# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback of Ansible that writes down when each task began and what each host made of it.

For site_yml.py beside it. A JSON line for each result, into the file TASK_TIMES. Loaded by
ansible-playbook from ANSIBLE_CALLBACK_PLUGINS; judges nothing.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_times
type: notification
short_description: when tasks begin and end, for each host
description: [For the benchmark only.]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Writes down what it hears."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_times"

    def __init__(self) -> None:
        super().__init__()
        self._begun = 0.0
        self._number = 0

    def _tell(self, result: Any, state: str) -> None:
        row = {
            "number": self._number,
            "task": result._task.get_name().strip(),
            "host": result._host.get_name(),
            "state": state,
            "seconds": time.monotonic() - self._begun,
        }
        with Path(os.environ["TASK_TIMES"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self._number += 1

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins, for all hosts of its play."""
        self._begin()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """A handler begins."""
        self._begin()

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host has done it."""
        changed = result._result.get("changed", False)
        self._tell(result, "changed" if changed else "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A host had nothing to do."""
        self._tell(result, "skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A host could not."""
        self._tell(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host was not there."""
        self._tell(result, "unreachable")
