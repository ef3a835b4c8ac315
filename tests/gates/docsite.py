# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the documentation site in build/docs/html: antsibull-docs for the reference, Sphinx for all.

The pages in docs/ and README.md are the guides; nothing is written for the site alone but its index
(docs/docsite). A warning fails, and so does a page that is in no menu or that loads anything from
elsewhere. State diagrams become pictures here (graphviz), since a browser would have to fetch a
program for them. Needs no network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .machine import BUILD, ROOT, VENV_BIN, Trouble, ensure_packages, main_guarded, run_shown, say
from .stage import STAGE, stage_collection

SITE = BUILD / "docs"
SOURCE = SITE / "source"
HTML = SITE / "html"
FORGE = "https://github.com/piranha-lvs/piranha.lvs/blob/main/"
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
DIAGRAM = re.compile(r"^```mermaid\n(stateDiagram.*?)^```\n", re.MULTILINE | re.DOTALL)
ARROW = re.compile(r"^\s*(\S+) --> (\S+?)(?:: (.*))?$", re.MULTILINE)
# What a browser fetches by itself; links that a reader may follow are something else.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|<link\b(?![^>]*\brel=[\"']?canonical)[^>]*\bhref=[\"']?(?:https?:)?//[^\"'\s>]+"
    r"|url\([\"']?(?:https?:)?//[^)]+|@import\s+[\"'](?:https?:)?//[^\"']+"
)


def linked(text: str, place: Path, pages: dict[Path, str]) -> str:
    """Let relative links lead to the site's page, or to the file on the forge if it has none.

    ``place`` is where the text stands in the checkout; ``pages`` are the site's, by their place.
    """

    def instead(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(place.parent / found[1]))
        if not (ROOT / target).exists():
            raise Trouble(f"{place} leads to {found[1]}, which is not there")
        there = pages.get(target, FORGE + target.as_posix())
        return f"]({there}{found[2] or ''})"

    return LINK.sub(instead, text)


def as_graph(diagram: str) -> str:
    """A state diagram of Mermaid's simple kind (arrows with labels) in graphviz's language."""
    lines = ["digraph {", "rankdir=TB; bgcolor=transparent;",
             'node [shape=box, style="rounded,filled", fillcolor="#eef3fa", fontname=sans];',
             "edge [fontname=sans, fontsize=10];"]
    for number, (source, target, label) in enumerate(ARROW.findall(diagram)):
        ends = []
        for name in (source, target):
            if name == "[*]":
                name = f"end{number}"
                lines.append(f'{name} [shape=circle, label="", width=0.15, fillcolor=black];')
            ends.append(name)
        words = label.replace(" / ", r"\n")
        lines.append(f'{ends[0]} -> {ends[1]} [label="{words}"];')
    return "\n".join([*lines, "}"]) + "\n"


def with_pictures(text: str, name: str) -> str:
    """Put a picture in the place of each state diagram, and the picture beside the page."""
    number = 0

    def instead(found: re.Match[str]) -> str:
        nonlocal number
        number += 1
        picture = SOURCE / f"{name}-{number}.svg"
        argv = ["dot", "-Tsvg", "-o", str(picture)]
        if subprocess.run(argv, input=as_graph(found[1]), text=True, check=False).returncode:
            raise Trouble(f"graphviz could not draw diagram {number} of {name}")
        return f"![The states and what leads from one to another]({picture.name})\n"

    return DIAGRAM.sub(instead, text)


def gather() -> None:
    """Bring the pages together in build/docs/source."""
    shutil.rmtree(SITE, ignore_errors=True)
    (SOURCE / "_static").mkdir(parents=True)
    pages = {Path("README.md"): "README.md"}
    pages |= {Path("docs") / path.name: path.name for path in sorted(ROOT.glob("docs/*.md"))}
    for place, name in pages.items():
        text = linked((ROOT / place).read_text(encoding="utf-8"), place, pages)
        (SOURCE / name).write_text(with_pictures(text, Path(name).stem), encoding="utf-8")
    for name in ("conf.py", "index.md"):
        shutil.copy(ROOT / "docs/docsite" / name, SOURCE / name)
    shutil.copy(ROOT / "docs/docsite/site.css", SOURCE / "_static/site.css")


def loaded_from_elsewhere() -> Iterator[str]:
    """What a reader's browser would fetch from other hosts."""
    for path in sorted(HTML.rglob("*")):
        if path.suffix in (".html", ".css"):
            for found in LOADED.finditer(path.read_text(encoding="utf-8", errors="replace")):
                yield f"{path.relative_to(HTML)} loads from elsewhere: {found[0]}"


def main() -> int:
    """Build the site; 1 if a tool remarks on anything."""
    ensure_packages(["graphviz"], "documentation site")
    stage_collection()
    gather()
    env = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(STAGE))
    reference = SOURCE / "reference"
    reference.mkdir()
    argv = [str(VENV_BIN / "antsibull-docs"), "collection", "--use-current", "--squash-hierarchy",
            "--fail-on-error", "--dest-dir", str(reference), "piranha.lvs"]
    if run_shown(argv, env=env) != 0:
        raise Trouble("antsibull-docs could not make the reference; its reason is just above")
    argv = [str(VENV_BIN / "sphinx-build"), "-q", "-W", "--keep-going", "-b", "html",
            str(SOURCE), str(HTML)]
    if run_shown(argv, env=env) != 0:
        raise Trouble("Sphinx remarked on the pages; what it said is just above")
    found = list(loaded_from_elsewhere())
    for fault in found:
        say(fault)
    pages = len(list(HTML.rglob("*.html")))
    say(f"{pages} pages are in {HTML.relative_to(ROOT)}; begin with index.html")
    return int(bool(found))


if __name__ == "__main__":
    main_guarded(main)
