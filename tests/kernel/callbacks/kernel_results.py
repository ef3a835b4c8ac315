# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback of ansible-playbook: each task's result, and what ipvsadm prints right after it.

One JSON line a task in the file that KERNEL_RESULTS names, and one when a task starts.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kernel_results
type: notification
short_description: results and the IPVS table after each task
description: [For the kernel tests only.]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # Ansible ships no types
    """What it says above."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "kernel_results"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Note that it has begun."""
        self._write({"begun": task.get_name()})

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note how it ended."""
        self._ended(result, failed=False)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note how it ended."""
        self._ended(result, failed=True)

    def _ended(self, result: Any, failed: bool) -> None:
        done = subprocess.run(["ipvsadm", "-Sn"], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in done.stdout.splitlines()]
        told = {**json.loads(self._dump_results(result._result)), "failed": failed}
        told["diff"] = result._result.get("diff")
        self._write({"ended": result._task.get_name(), "result": told, "table": lines})

    def _write(self, told: dict[str, Any]) -> None:
        with Path(os.environ["KERNEL_RESULTS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
