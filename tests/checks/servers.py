# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers out of Debian's packages, started by us on loopback ports and ended by their ids.

Each has its configuration, data and log in a temporary folder.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 30.0


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(folder: Path, argv: list[str], port: int, user: str | None = None) -> Iterator[int]:
    """Run a server until the block ends; gives its port once it listens (TCP)."""
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            argv,
            cwd=folder,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        ) as child,
    ):
        try:
            _wait(child, port, log)
            yield port
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)


def _wait(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if child.poll() is not None:
            break
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{child.args!r} does not listen: {log.read_text(errors='replace')[-2000:]}")


def certificate(folder: Path, name: str, days: int = 90) -> tuple[Path, Path]:
    """A certificate for a DNS name, signed by itself, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-keyout", str(key), "-out", str(cert), "-days", str(days)]
    argv += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return cert, key


def nginx(folder: Path, cert: Path, key: Path) -> tuple[list[str], int, int]:
    """Command, port of HTTP and port of HTTPS."""
    plain, tls = free_port(), free_port()
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl;
    ssl_certificate {cert}; ssl_certificate_key {key};
    location = /well {{ return 200 "all is well at $host $http_x_check"; }}
    location = /moved {{ return 302 /well; }}
    location = /broken {{ return 503; }}
  }}
}}
""")
    argv = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "error.log"]
    return argv, plain, tls


def unbound(folder: Path) -> tuple[list[str], int]:
    """Command and port; answers for example.test only."""
    port = free_port()
    (folder / "unbound.conf").write_text(f"""
server:
  interface: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  local-zone: "example.test." static
  local-data: "www.example.test. 60 IN A 192.0.2.9"
  local-zone: "refused.test." refuse
""")
    return ["unbound", "-d", "-c", str(folder / "unbound.conf")], port


def smtpd(folder: Path) -> tuple[list[str], int]:
    """Command and port; delivers nothing."""
    port = free_port()
    conf = folder / "smtpd.conf"
    conf.write_text(
        f'listen on 127.0.0.1 port {port}\naction "none" mbox\nmatch for local action "none"\n'
    )
    conf.chmod(0o600)
    return ["smtpd", "-d", "-f", str(conf)], port


def postgres(folder: Path) -> tuple[list[str], int]:
    """Command and port; a fresh cluster without passwords, run as the user postgres."""
    port = free_port()
    home = max(Path("/usr/lib/postgresql").glob("*/bin"))
    os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    data = folder / "data"
    subprocess.run(
        [str(home / "initdb"), "-D", str(data), "-A", "trust", "-N"],
        check=True,
        capture_output=True,
        timeout=120,
        user="postgres",
        cwd=folder,
        env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
    )
    argv = [str(home / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    return [*argv, "-k", str(folder), "-F"], port


def mariadb(folder: Path) -> tuple[list[str], int]:
    """Command and port; fresh tables."""
    port = free_port()
    data = folder / "data"
    data.mkdir()
    argv = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}"]
    tables = next(Path("/usr/share/mysql").glob("*_system_tables.sql")).read_bytes()
    # What mariadb-install-db does, which needs more packages.
    subprocess.run(
        [*argv, "--bootstrap"],
        input=b"create database mysql;\nuse mysql;\n" + tables,
        check=True,
        capture_output=True,
        timeout=120,
        env={"PATH": PATH},
    )
    argv += [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/sock"]
    return argv, port
