# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/findings.md from the table of codes; `--check` only compares.

Each example is a change to one sound file, and what is said about it is what the library says when
the page is made: an example that does not bring its code stops the script. A unit test compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "findings.md"

sys.path.insert(0, str(ROOT / "plugins" / "module_utils"))

from lvs_cf.api import CLASSIC, EXTENDED, load  # noqa: E402 - the path must be set first
from lvs_cf.findings import CODES, of_host, severity_of  # noqa: E402

_HEAD = """\
<!--
SPDX-FileCopyrightText: piranha.lvs founders
SPDX-License-Identifier: GPL-3.0-or-later
Made by docs/make_findings.py from plugins/module_utils/lvs_cf/findings.py; do not edit.
-->
# Findings about `lvs.cf`

What `piranha config check`, the modules and the agent say of a configuration. The letter of a code
is its severity: an error (E) forbids using the configuration, a warning (W) does not, advice (A) is
only worth a thought. A code never changes its meaning. [config.md](config.md) tells how to silence
warnings and advice. An example shows the lines that bring the finding into a sound file, and what
is said then.
"""


def _fos(more: str = "") -> str:
    """Give what makes routers with one failover service out of the sound file's first line."""
    commands = 'stop_cmd = "/usr/local/sbin/db stop"\n    start_cmd = "/usr/local/sbin/db start"\n'
    block = f"    active = 1\n    address = 192.0.2.9 eth0:9\n    {commands}{more}"
    return f"service = fos\nprimary = 192.0.2.1\n\nfailover db {{\n{block}}}\n"


_SOUND = """\
primary = 192.0.2.1
backup = 192.0.2.2
backup_active = 1
keepalive = 2
deadtime = 6
nat_router = 198.51.100.1 eth1:1

virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 80

    server one {
        address = 198.51.100.11
        active = 1
    }
}
"""

_DATA = {
    "E205": "only where a configuration comes as data, from a playbook or as JSON",
    "E206": "only where a configuration comes as data, from a playbook or as JSON",
}

# Places in the sound file that examples change.
_TOP = "keepalive = 2\n"
_PORT = "    port = 80\n"
_SERVER = "        active = 1\n    }"
_SECOND = "\nvirtual two {\n    active = 1\n    address = 192.0.2.80 eth0:1\n"

# Code -> what stands in the sound file, and what stands there in the example.
EXAMPLES: dict[str, tuple[str, str]] = {
    "E101": (_TOP, "keepalive 2\n"),
    "E102": ("virtual web {\n", "virtual web\n"),
    "E103": (_TOP, "}\n"),
    "E104": ("virtual web {\n", "virtual web { active = 1\n"),
    "E105": ("virtual web {\n", "vritual web {\n"),
    "E106": (_PORT, '    send = "GET /\n'),
    "E107": (_PORT, "    port = 80 443\n"),
    "E108": (_PORT, "    port =\n"),
    "E109": (_PORT, "    expect = a\x01b\n"),
    "E201": (_PORT, "    shceduler = rr\n"),
    "E202": (_PORT, "    keepalive = 2\n"),
    "E203": (_PORT, "    port = htpp\n"),
    "E204": (_PORT, "    port = 99999\n"),
    "E301": ("primary = 192.0.2.1\n", "primary = 0.0.0.0\n"),
    "E302": ("backup = 192.0.2.2\n", "backup = 192.0.2.1\n"),
    "E303": ("deadtime = 6\n", "deadtime = 2\n"),
    "E304": ("    address = 192.0.2.80 eth0:1\n", ""),
    "E305": ("        active = 1\n    }\n}\n", f"        active = 1\n    }}\n}}\n{_SECOND}}}\n"),
    "E306": ("        address = 198.51.100.11\n", ""),
    "E307": (
        _SERVER,
        _SERVER + "\n    server two {\n        address = 198.51.100.11\n        active = 1\n    }",
    ),
    "E308": ("198.51.100.11\n", "2001:db8::11\n"),
    "E309": (_PORT, "    port = 0\n"),
    "E310": (_TOP, f"{_TOP}syncdaemon = 1\nsyncd_iface = eth0\n"),
    "E311": (_PORT, "    check = program\n"),
    "E312": (_PORT, "    check = http\n    check_status = 20x\n"),
    "E313": (_PORT, "    port = 80\n    ports = [ 80 443 ]\n"),
    "E314": (_PORT, "    protocol = tcp\n    ops = 1\n"),
    "E315": (_PORT, "    forward = tunnel\n    tunnel_type = gue\n"),
    "E316": (_SERVER, "        active = 1\n        lower_threshold = 10\n    }"),
    "E317": (_PORT, "    scheduler_flags = sh-port\n"),
    "E318": (_TOP, f"{_TOP}primary_links = 10.9.0.1\n"),
    "E319": (_PORT, "    protocol = sctp\n"),
    "E320": ("    address = 192.0.2.80 eth0:1\n", "    fwmark = 80\n    marking = auto\n"),
    "E321": (_PORT, "    check_via = virtual\n"),
    "E322": (_PORT, "    forward = direct\n    check_via = virtual\n    fwmark = 1358954497\n"),
    "E323": (_TOP, f"{_TOP}witness = 192.0.2.2\n"),
    "E326": ("primary = 192.0.2.1\n", _fos() + "heartbeat_format = classic\n"),
    "E401": (_TOP, "keepalive=2\n"),
    "E402": (_TOP, "keepalive = 2  # seconds\n"),
    "E403": (_PORT, '    expect = "OK" # so\n'),
    "E404": (_PORT, "    forward = direct\n"),
    "E405": (_TOP, "keepalive = 500ms\n"),
    "E406": ("192.0.2.80 eth0:1", "192.0.2.80"),
    "E407": ("virtual web {\n", "virtual web{\n"),
    "E408": ("primary = 192.0.2.1\n", "\ufeffprimary = 192.0.2.1\n"),
    "W101": (_SERVER + "\n}\n", _SERVER + "\n"),
    "W102": (_SERVER + "\n}\n", _SERVER + "\n} of web\n"),
    "W201": (_TOP, f"{_TOP}keepalive = 1\n"),
    "W202": (_PORT, "    persistent = 60\n    pmask = all\n"),
    "W203": (_PORT, "    port = 0120\n"),
    "W204": (_SOUND, _SOUND.replace("\n", "\r\n")),
    "W301": ("virtual web {\n    active = 1\n", "virtual web {\n    active = 0\n"),
    "W302": ("backup = 192.0.2.2\n", ""),
    "W303": (_SERVER, "        active = 0\n    }"),
    "W304": (
        _SERVER,
        _SERVER + "\n    server one {\n        address = 198.51.100.12\n        active = 1\n    }",
    ),
    "W305": ("198.51.100.11\n", "192.0.2.2\n"),
    "W306": (
        "    port = 80\n\n    server one {\n",
        _PORT + "    forward = direct\n\n    server one {\n        port = 8080\n",
    ),
    "W307": (_TOP + "deadtime = 6\n", "backup_active = 0\nkeepalive = 9\ndeadtime = 6\n"),
    "W308": (_PORT, "    port = ftp\n    forward = direct\n"),
    "W309": (
        "primary = 192.0.2.1\n",
        "service = fos\nprimary = 192.0.2.1\n\nfailover db {\n"
        "    active = 1\n    address = 192.0.2.9 eth0:9\n}\n",
    ),
    "W310": (_TOP, f"{_TOP}backup_private = 10.0.0.2\n"),
    "W311": (_PORT, "    check = icmp\n    send = hello\n"),
    "W312": (_PORT, "    quorum = 2\n"),
    "E324": (
        "primary = 192.0.2.1\n",
        _fos("    port = 25\n    failover_group = mail\n").replace("failover db", "failover smtp")
        + _fos("    failover_group = db\n").partition("\n\n")[2],
    ),
    "E325": ("primary = 192.0.2.1\n", _fos("    failover_group = -db\n")),
    "W320": ("primary = 192.0.2.1\n", _fos("    protocol = udp\n")),
    "W321": ("primary = 192.0.2.1\n", _fos("    critical = 0\n")),
    "W322": ("primary = 192.0.2.1\n", _fos().replace("db stop", "db start")),
    "W323": (_TOP, f"{_TOP}heartbeat_format = classic\n"),
    "A301": ("192.0.2.80 eth0:1\n", "192.0.2.80 eth0\n"),
    "A302": (_PORT, "    pmask = 255.255.255.0\n"),
    "A303": ("nat_router = 198.51.100.1 eth1:1\n", ""),
    "A304": (_SOUND, _SOUND.replace("\n", "\r\n")),
    "A305": (_PORT, "    port = ftp\n"),
    "A901": (_TOP, "keepalive = 2  # piranha: ignore=W201 for now\n"),
    "A902": (_TOP, "keepalive = 2  # piranha: ignore=E303 for now\n"),
}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for code, meaning in CODES.items():
        parts.append(f"\n## {code}\n\n{meaning[0].upper()}{meaning[1:]} ({severity_of(code)}).")
        if code in _DATA:
            parts.append(f"Found {_DATA[code]}.")
        elif of_host(code):
            parts.append("Found with `--on-this-host` only, since it depends on the machine.")
        else:
            parts.append(_example(code))
    return "\n".join(parts) + "\n"


def _example(code: str) -> str:
    old, new = EXAMPLES[code]
    if _SOUND.count(old) != 1:
        raise LookupError(f"{code}: {old!r} stands {_SOUND.count(old)} times in the sound file")
    classic = code.startswith("E4") or code == "W204"
    loaded = load(_SOUND.replace(old, new), dialect=CLASSIC if classic else EXTENDED)
    said = [found.format() for found in loaded.findings if found.code == code]
    if not said:
        raise LookupError(f"{code}: its example brings {loaded.report()} instead")
    lines = ["", "Found with `--classic` only.\n"] if classic else [""]
    shown = _visible(new)
    if old == _SOUND:
        lines += ["A file whose lines all end with CR LF", ""]
    elif new:
        lines += [f"    {line}".rstrip() for line in shown.strip("\n").split("\n")] + [""]
    else:
        lines += ["The file without\n"]
        lines += [f"    {line}" for line in old.strip("\n").split("\n")] + [""]
    lines += ["is told as\n", f"    {said[0]}"]
    return "\n".join(lines)


def _visible(text: str) -> str:
    shown = {"\r": "<CR>", "\ufeff": "<BOM>", "\x01": "<01>"}
    return "".join(shown.get(sign, sign) for sign in text)


def main(arguments: list[str]) -> int:
    """Write the page, or with --check tell whether it is up to date."""
    text = page()
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        name = PAGE.relative_to(ROOT)
        sys.stderr.write(f"{name} is out of date; run docs/make_findings.py\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
