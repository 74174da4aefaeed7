"""Names as the platform spells them: lower case, digits and hyphens."""

from __future__ import annotations

import re

MAX_LENGTH = 128
"""The platform keeps at most this many characters of a slug."""

_UNKEPT = re.compile(r"[^a-z0-9\s-]")
_OWNER = re.compile(r"[\w.-]*\w[\w.-]*")
_GAPS = re.compile(r"[\s-]+")


def slugify(text: str) -> str:
    """Return the slug of `text`: `"My Run, no. 1"` becomes `"my-run-no-1"`. It may be empty."""
    kept = _UNKEPT.sub("", text.lower())
    return _GAPS.sub("-", kept).strip("-")[:MAX_LENGTH]


def project_slug(project: object) -> str | None:
    """Return the slug of a training's `project` argument, or None where it names none.

    `owner/project` names a project of somebody else: the owner is kept as it is, since only the platform knows how
    its owners are spelled. A path such as `/data/runs` has no owner and becomes one slug.
    """
    raw = str(project or "").strip().replace("\\", "/")
    owner, _, rest = raw.partition("/")
    name = slugify(rest.replace("/", "-"))
    if name and _OWNER.fullmatch(owner):
        return f"{owner}/{name}"
    return slugify(raw.replace("/", "-")) or None


def run_slug(name: object) -> str:
    """Return the slug of a training's `name` argument; a training without a usable name is called `train`."""
    return slugify(str(name or "")) or "train"
