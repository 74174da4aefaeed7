"""The closing part of each command's help: examples and exit codes."""

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
