"""The templates of the pages. Every value is escaped, unless a template says that it is ours."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent / "templates"


def rendered(template: str, **values: object) -> str:
    """Return a page.

    Args:
        template: Its file.
        values: What it names; each of them has to be given.
    """
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
