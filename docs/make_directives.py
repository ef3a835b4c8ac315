# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/directives.md from the table of directives; `--check` only compares.

A unit test compares too, so that page and table cannot drift apart. Needs nothing but Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "directives.md"

sys.path.insert(0, str(ROOT / "plugins" / "module_utils"))

from lvs_cf import directives as d  # noqa: E402 - the path must be set first
from lvs_cf.explain import takes  # noqa: E402
from lvs_cf.values import write_value  # noqa: E402

_HEAD = """\
<!--
SPDX-FileCopyrightText: piranha.lvs founders
SPDX-License-Identifier: GPL-3.0-or-later
Made by docs/make_directives.py from plugins/module_utils/lvs_cf/directives.py; do not edit.
-->
# Directives of `lvs.cf`

A line is `directive = value`; a block is `virtual NAME {` or `failover NAME {`, with
`server NAME {` blocks inside, each closed by a line `}`. A `#` at the beginning of a line or
behind a blank begins a comment. A value with blanks stands in quotes. *Extended* marks what
Piranha 0.8.6 did not know.
"""

_TITLES = {
    d.GLOBAL: "Global directives",
    d.VIRTUAL: "In `virtual` and `failover` blocks",
    d.SERVER: "In `server` blocks",
}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for where, title in _TITLES.items():
        parts.append(f"\n## {title}\n")
        parts.append("| directive | value | default | meaning |\n| --- | --- | --- | --- |")
        parts.extend(_row(row) for row in d.DIRECTIVES if row.where == where)
    parts.append("\nWhat is said of mistakes stands in [findings.md](findings.md), code by code.")
    return "\n".join(parts) + "\n"


def _row(row: d.Directive) -> str:
    default = "unset" if row.default is None else f"`{write_value(row, row.default)}`"
    extended = " *Extended.*" if row.dialect == d.EXTENDED else ""
    doc = row.doc.replace("|", "\\|")
    return f"| `{row.name}` | {takes(row)} | {default} | {doc}{extended} |"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check tell whether it is up to date."""
    text = page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == text:
            return 0
        name = PAGE.relative_to(ROOT)
        sys.stderr.write(f"{name} is out of date; run docs/make_directives.py\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
