"""The site that `make docs` builds of these pages. They read whole without it, on any Git host.

So nothing of the site stands in the pages: what it needs beyond Markdown is added here, as they
are read.
"""

import re
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.util import logging

project = "playattention"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "playattention"
html_copy_source = False
html_show_copyright = False
nitpicky = True  # with -W of `make docs`: a link that leads nowhere ends the build
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4  # the anchors that Git hosts make of headings


def _adapt(app: Sphinx, page: str, text: list[str]) -> None:
    """Leave links out of the pages as they are, and make a menu of those on the first page.

    site/ stands beside docs/, so a link to ../README.md leads to the same file from both.
    """
    for link in re.findall(r"\]\((\.\./[^)#]+)", text[0]):
        if not (Path(app.srcdir) / link).exists():
            logging.getLogger(__name__).warning("no such file: %s", link, location=page)
    text[0] = re.sub(r"(\]\(\.\./[^)]+\))", r"\1{.external}", text[0])
    text[0] = re.sub(r"\]\((#[\w-]+)\)", rf"]({page}.md\1)", text[0])
    if page == "index":
        pages = dict.fromkeys(re.findall(r"\]\(([\w-]+)\.md\)", text[0]))
        text[0] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n"


def _know_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let links lead to `<a id="mask"></a>`, an anchor that works on any Git host."""
    known = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for raw in doctree.findall(nodes.raw):
        for name in re.findall(r'<a id="([\w-]+)"', raw.astext()):
            known[name] = (raw.line or 0, name, name)


def setup(app: Sphinx) -> None:
    """Connect the above; blocks of formulas are plain text."""
    app.connect("source-read", _adapt)
    app.connect("doctree-read", _know_anchors)
    app.add_lexer("formula", TextLexer)
