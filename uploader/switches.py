"""What a variable of the environment says that is a switch: yes, no, or nothing."""

from __future__ import annotations

from collections.abc import Mapping

from uploader.errors import SettingsError

_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def is_on(env: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return whether a variable says yes.

    Args:
        env: The environment.
        name: The variable.
        default: What holds where it says nothing.

    Raises:
        SettingsError: It says something else.
    """
    text = env.get(name, "").strip().lower()
    if text and text not in _YES | _NO:
        raise SettingsError(f"{name}: write 1 for yes, or 0 for no")
    return text in _YES if text else default
