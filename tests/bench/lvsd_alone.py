# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""lvsd as a process of its own, with a table in memory in place of the kernel's.

`python -m tests.bench.lvsd_alone CONFIG RUN_DIR LINK_DESCRIPTOR`

All but the kernel is real: file, checks, verdicts, plans, messages, events, the look at the text
of the table. For kernels without IPVS; what the kernel would need for its part is not measured.
"""

from __future__ import annotations

import importlib
import ipaddress
import socket
import sys
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "files/piranha-agent/src"), str(ROOT / "build/collections")]

from piranha.core.ipvs.kernel import Kernel  # noqa: E402 - path
from piranha.lvsd import child  # noqa: E402
from piranha.lvsd.drift import Glance, head  # noqa: E402

# The table in memory is the unit tests', which know the library by its name in the collection.
COLLECTION = "ansible_collections.piranha.lvs.plugins.module_utils.ipvs"
for name in ("codec", "errors", "model", "plan", "port", "settings"):
    sys.modules[f"{COLLECTION}.{name}"] = importlib.import_module(f"piranha.core.ipvs.{name}")

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort  # noqa: E402


class Text:
    """The table as /proc/net/ip_vs would show it."""

    def __init__(self, port: MemoryPort) -> None:
        self._port = port

    def read_bytes(self) -> bytes:
        """All of it; costs about what the kernel takes to write it."""
        lines = [b""] * 3
        for key, entry in self._port.table.items():
            lines.append(b"%s wlc " % head(key))
            lines += [
                b"  -> %08X:%04X      Masq    %-6d 0          0         "
                % (int(ipaddress.IPv4Address(server.key.address)), server.key.port, server.weight)
                for server in entry.servers.values()
            ]
        return b"\n".join(lines) + b"\n"


def main(config: str, run_dir: str, descriptor: str) -> int:
    """Run until the link closes."""
    port = MemoryPort()
    link = socket.socket(fileno=int(descriptor))
    glance = Glance(cast(Path, Text(port)))
    return child.run(link, Path(config), Path(run_dir), Kernel(port=port), glance)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
