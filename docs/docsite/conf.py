# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes the site; tests/gates/docsite.py gathers the sources and runs it.

Nothing is loaded from elsewhere, neither while it is built nor by a reader's browser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Operator, Punctuation, String, Text

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "piranha.lvs"
author = "piranha.lvs founders"
project_copyright = author
extensions = ["myst_parser", "sphinx_antsibull_ext"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_heading_anchors = 4
html_theme = "sphinx_rtd_theme"
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"navigation_depth": 3, "prev_next_buttons_location": "bottom"}
html_css_files = ["site.css"]
html_static_path = ["_static"]
# Labels of ansible-core's own pages, which are not part of this site.
suppress_warnings = ["ref.ref"]


class LvsCf(RegexLexer):
    """Colours for lvs.cf; what a line means is not its business."""

    name = "lvs.cf"
    aliases: ClassVar = ["lvs.cf"]
    tokens: ClassVar = {
        "root": [
            (r"(^|(?<=\s))#.*$", Comment),
            (r'"(\\.|[^"\\])*"', String),
            (r"^(\s*)(virtual|failover|server)(\s+)([^\s{]+)(\s*)(\{)",
             bygroups(Text, Keyword, Text, Name.Class, Text, Punctuation)),
            (r"^(\s*)([A-Za-z_]\w*)(\s*)(=)", bygroups(Text, Name.Attribute, Text, Operator)),
            (r"[{}\[\]]", Punctuation),
            (r"\s+", Text),
            (r"[^\s{}\[\]]+", Text),
        ]
    }  # fmt: skip


def setup(app: Sphinx) -> None:
    """Make the language known to Sphinx."""
    app.add_lexer("lvs.cf", LvsCf)
