# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh server with keys of its own, on an address of this machine, for tests that ask for loads.

It uses no key and no setting of this machine's, and lets in nobody but who has its `key`.
"""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

SETTINGS = """\
ListenAddress {address}:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
SetEnv SHLVL=1
"""
"""SHLVL: else a login shell that is bash reads root's own settings, which may take its time."""


class Sshd:
    """The server, and what a client needs: key (its private key), known (a line of known_hosts)."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder, self._address = folder, address
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = int(free.getsockname()[1])
        for name in ("host", "user"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(words, check=True, timeout=60)
        (folder / "authorized").write_text("restrict " + (folder / "user.pub").read_text())
        self.key = (folder / "user").read_text()
        public = " ".join((folder / "host.pub").read_text().split()[:2])
        self.known = f"[{address}]:{self.port} {public}\n"

    def __enter__(self) -> Sshd:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        path = self._folder / "sshd_config"
        path.write_text(SETTINGS.format(address=self._address, port=self.port, folder=self._folder))
        self._process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(path)])
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection((self._address, self.port), 5).close()
            except ConnectionRefusedError:
                time.sleep(0.1)
            else:
                return self
        self.__exit__()
        raise RuntimeError("sshd does not start")

    def __exit__(self, *_unused: object) -> None:
        self._process.kill()
        self._process.wait(10)
