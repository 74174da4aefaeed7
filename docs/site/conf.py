"""How Sphinx makes a site of the project's pages: `scripts/docs`.

The pages are read where they lie, so that their links are right here, on the site and wherever the project is browsed.
Only the navigation, and the reference of the public names, are added when they are read.
"""

from __future__ import annotations

import html
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DIAGRAMS = ROOT / "build" / "diagrams"  # `scripts/docs` puts mermaid there

NAVIGATION = {
    "Record": "any-command frameworks python examples importing hub prefetch intents",
    "Deliver": "operations troubleshooting air-gap mirror scale-out local-platform",
    "Trust": "guarantees proof equivalence journal performance",
    "Inside": "architecture design decisions glossary adding-a-platform",
    "Project": "CONTRIBUTING CHANGELOG",
}
"""What stands in the margin, in the order in which a stranger wants it; the README comes first."""
ELSEWHERE = {
    "examples": "examples/README",
    "decisions": "docs/adr/README",
    "CONTRIBUTING": "CONTRIBUTING",
    "CHANGELOG": "CHANGELOG",
}
"""Pages that are not `docs/NAME.md`."""
DESCRIBED = "uploader"
"""Whose public names are described at the end of docs/python.md."""

project = "offline-uploader"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/adr/*.md", "examples/README.md"]
exclude_patterns = [".*", "build", "dist", "journal", "runs", "scripts", "tests", "uploader"]
myst_heading_anchors = 4  # as GitHub makes them, which `tests/unit/test_links.py` checks
myst_fence_as_directive = ["mermaid"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "literal"  # a docstring's `name` is code
html_theme = "furo"
html_title = project
html_static_path = ["static", str(DIAGRAMS)] if DIAGRAMS.is_dir() else ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
_DRAW = """
const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
mermaid.initialize({ securityLevel: "strict", theme: isDark ? "dark" : "default" });
"""


def document(name: str) -> str:
    """Return where the page of an entry of the navigation is, without its ending."""
    return ELSEWHERE.get(name, f"docs/{name}")


def _navigation() -> str:
    trees = (
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *map(document, names.split()), "```"])
        for caption, names in NAVIGATION.items()
    )
    return "\n\n".join(trees)


def _records() -> str:
    names = sorted(path.stem for path in (ROOT / "docs" / "adr").glob("0*.md"))
    return "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])


def _reference() -> str:
    module = import_module(DESCRIBED)
    lines = ["## Reference", "", "```{eval-rst}"]
    for name in module.__all__:
        kind = "autoclass" if inspect.isclass(getattr(module, name)) else "autofunction"
        lines += [f".. {kind}:: {DESCRIBED}.{name}", *(["   :members:"] if kind == "autoclass" else []), ""]
    return "\n".join([*lines, "```"])


ADDED = {"README": _navigation, "docs/adr/README": _records, "docs/python": _reference}


def _add(app: Sphinx, name: str, source: list[str]) -> None:
    del app
    if name in ADDED:
        source[0] += f"\n\n{ADDED[name]()}\n"


def _draw(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Load what draws diagrams where there are some: it is as large as all pages together."""
    del page, template, doctree
    if '<pre class="mermaid">' in context.get("body", ""):
        app.add_js_file("mermaid.min.js")
        app.add_js_file(None, body=_DRAW)


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx add the navigation, and understand diagrams."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Diagram(SphinxDirective):
        """A diagram in Mermaid's language, drawn by the reader's browser."""

        has_content = True

        def run(self) -> list[nodes.Node]:
            # In the text of a node, two underscores would begin what is bold.
            text = html.escape("\n".join(self.content)).replace("__", "#95;#95;")
            return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]

    app.add_directive("mermaid", Diagram)
    app.connect("source-read", _add)
    app.connect("html-page-context", _draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
