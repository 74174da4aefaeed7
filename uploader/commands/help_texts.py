"""What the help of several commands says: examples, exit codes, and which key is sent where."""

from __future__ import annotations

_USUAL_CODES = """
  0  done
  1  the journal cannot be used; the message says why
  2  the arguments cannot be used, or name nothing in the journal"""


def epilog(*examples: str, codes: str = _USUAL_CODES) -> str:
    """Return the text below a command's options; click keeps the line breaks of paragraphs marked by a backspace.

    Args:
        examples: Commands, each without `python -m uploader`.
        codes: The exit codes, one a line.
    """
    lines = "\n".join(f"  python -m uploader {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n\b\nExit codes:{codes}"


def key_addresses() -> str:
    """Return the variable of each platform's key, and where that is sent."""
    from uploader.platforms.registry import PLATFORMS

    public = {spec.name: f" or the public {spec.title}" if spec.default_url else "" for spec in PLATFORMS}
    return ", ".join(f"{spec.key_variable} to {spec.url_variable}{public[spec.name]}" for spec in PLATFORMS)
