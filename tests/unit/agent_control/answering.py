# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control socket that answers as a test says, for the commands that ask pulse."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Asked = dict[str, Any]


def answering(folder: Path, answer: Callable[[Asked], dict[str, Any]]) -> None:
    """Listen in `folder` as pulse does, for as long as the test's process lives.

    answer: gives what is said of a request, but for its number.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "control.sock"))
    listener.listen()

    def run() -> None:
        while True:
            sock, _unused = listener.accept()
            with sock, sock.makefile("rw") as lines:
                for line in lines:
                    asked = json.loads(line)
                    lines.write(json.dumps({"id": asked["id"], **answer(asked)}) + "\n")
                    lines.flush()

    threading.Thread(target=run, daemon=True).start()
