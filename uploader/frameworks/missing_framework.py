"""What to install where a framework is missing."""

from __future__ import annotations


def missing(framework: str, package: str, error: ImportError) -> ImportError:
    """Return an error that says what to install.

    Args:
        framework: Its name, for people.
        package: What pip calls it.
        error: Why it cannot be imported.
    """
    return ImportError(f"{framework} cannot be imported ({error}). To install it: pip install {package}")
