"""The templates of the pages. Every value is escaped, unless a template says that it is ours.

What the classes of `style.css` are for, which no browser has to load:

- bar, home, source, connection: the head of a page; its connection is data-live="yes|no".
- skip, sr, quiet, number: the skip link; for screen readers only; what steps back; digits (aligned).
- ends: a name that is cut before its end where there is no room (words.js: ends()).
- stack, row, grow: below each other; beside each other, wrapping; what takes the room.
- card, facts, notice, empty: a panel; a <dl> of labels and values; a message (data-kind); what to do where
  nothing is.
- chip, tag: a state with its sign, data-kind="good|busy|bad|warn|idle" (chip()); a word that somebody gave.
- button, primary, danger, plain: <button>, <a class="button">; the wanted one; what destroys; without a
  frame.
- field, menu: a label with its input; what opens below its <summary> (menu.js, runs.css).
- scroll, pinned, best: what may be wider than the page (tabindex="0" and a label); its first column; the best
  value.
- progress, spark, swatch: a bar (--done: 0.4); a small curve; the colour of a run (--run: var(--run-3);
  colours(), paint()).
- charts, chart, legend, console: a grid of charts; one of them; what its lines mean; text as a terminal shows
  it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined

from uploader.dashboard.shortening import shorter_template

_FOLDER = Path(__file__).parent / "templates"


def rendered(template: str, **values: object) -> str:
    """Return a page.

    Args:
        template: Its file.
        values: What it names; each of them has to be given.
    """
    return _environment().get_template(template).render(**values)


def prepare() -> None:
    """Compile all templates."""
    for name in _environment().list_templates():
        _environment().get_template(name)


def sources() -> dict[str, str]:
    """Return the templates by their files' names, without what only their readers need."""
    return {each.name: shorter_template(each.read_text("utf-8")) for each in _FOLDER.iterdir()}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=DictLoader(sources()), autoescape=True, undefined=StrictUndefined)
