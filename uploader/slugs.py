"""Names as the platform spells them, by upstream's rule: lower-case letters a to z, digits and hyphens.

If that rule leaves nothing of a name, upstream sends an empty one. Here such a name is spelled in punycode, as domain
names are, so that different names stay different and can be decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

MAX_LENGTH = 128
"""The platform keeps at most this many characters of a slug."""
PUNYCODE = "xn-"
"""The prefix of a name that is spelled in punycode."""

_UNKEPT = re.compile(r"[^a-z0-9\s-]")
_SWEEP = re.compile(r"multitrain-?\d*")
"""The folder that upstream creates for a training on several data sets, after which it names their project."""


def slugify(text: str) -> str:
    """Return the slug of `text`: `"My Run, no. 1"` becomes `"my-run-no-1"`. It may be empty."""
    kept = _UNKEPT.sub("", text.lower()).replace(" ", "-")
    return re.sub("-+", "-", kept).strip("-")[:MAX_LENGTH]


def project_slug(project: object, sweeps: object = None) -> str | None:
    """Return the slug of a training's `project` argument; None when it names no project.

    `owner/project` names somebody else's project: the owner is kept as it is, since only the platform knows how it
    spells owners. Of an absolute path the last folder is the project.

    Args:
        project: The argument.
        sweeps: The folder in which upstream puts trainings on several data sets when no project was named.
    """
    raw = _named(str(project or ""), sweeps)
    owner, slash, rest = raw.partition("/")
    if slash and owner.strip(". ") and (name := _spelled(rest.replace("/", "-"))):
        return f"{owner}/{name}"
    return _spelled(raw.replace("/", "-")) or None


def run_slug(name: object) -> str:
    """Return the slug of a training's `name` argument; a training without a usable name is called `train`."""
    return _spelled(str(name or "")) or "train"


def readable(slug: str, given: object = None) -> str:
    """Return a name as it was written, where its slug tells little of it: of one that has letters beyond ASCII.

    Hyphens are missing in the punycode of several words, which then decodes to other letters: so what a training tells
    of its arguments comes first, and a name counts only if it is spelled so.

    Args:
        slug: The name as clients spell it.
        given: What the training tells of the argument that named it.
    """
    prefix, _, encoded = slug.partition("-")
    known = [str(given or "").rpartition("/")[2], *([_decoded(encoded)] if prefix == "xn" else [])]
    return next((each for each in known if not each.isascii() and each.isprintable() and run_slug(each) == slug), slug)


def readable_run(slug: str, given: object = None) -> str:
    """Return a run's name as `readable` does; the number that tells it from an earlier one of that name stays."""
    name, _, number = slug.rpartition("-")
    written = readable(name, given) if number.isdecimal() else name
    return f"{written}-{number}" if written != name else readable(slug, given)


def _decoded(punycode: str) -> str:
    try:
        return punycode.encode("ascii").decode("punycode")
    except UnicodeError:
        return ""


def respelled(project: object, name: object, sweeps: object = None) -> Iterator[str]:
    """Yield a message for each name that is spelled otherwise, beyond the case of its letters.

    Args:
        project: A training's `project` argument.
        name: Its `name` argument.
        sweeps: As for `project_slug`.
    """
    for what, given, slug in _spellings(project, name, sweeps):
        if _named(given, sweeps).lower() != slug.lower():
            spelled = repr(slug) if slug else "none"
            yield f"the platform spells names with a-z, 0-9 and hyphens: {what} {given!r} becomes {spelled}"


def names_as_given(project: object, name: object) -> dict[str, str]:
    """Return the names that are spelled otherwise, as they were given, by the argument that gave them."""
    return {what: given for what, given, slug in _spellings(project, name) if given != slug}


def _spellings(project: object, name: object, sweeps: object = None) -> Iterator[tuple[str, str, str]]:
    if project:
        yield "project", str(project), project_slug(project, sweeps) or ""
    if name:
        yield "name", str(name), run_slug(name)


def _named(project: str, sweeps: object) -> str:
    path = PurePath(project)
    if not path.is_absolute() or not path.name:
        return project
    if _SWEEP.fullmatch(path.name) and str(path.parent) != str(sweeps) and path.parent.name:
        path = path.parent
    return path.name


def _spelled(name: str) -> str:
    return slugify(name) or _in_punycode(name)


def _in_punycode(name: str) -> str:
    joined = "-".join(re.findall(r"\w+", name.lower().replace("_", " ")))
    spelled = slugify(joined.encode("punycode", "replace").decode("ascii"))
    return f"{PUNYCODE}{spelled}"[:MAX_LENGTH] if spelled else ""
