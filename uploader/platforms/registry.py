"""The platforms that this version can deliver to. To add one is one line here and one folder beside this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from uploader.errors import SettingsError
from uploader.platforms.hub import HUB
from uploader.platforms.spec import PlatformSpec
from uploader.platforms.ultralytics import ULTRALYTICS

PLATFORMS: tuple[PlatformSpec, ...] = (
    ULTRALYTICS,
    HUB,
)
"""The first one is meant where an address is named without its platform."""

DEFAULT = PLATFORMS[0]
NAMES = tuple(spec.name for spec in PLATFORMS)


def spec_of(name: str) -> PlatformSpec:
    """Return the platform of a name.

    Raises:
        SettingsError: There is none.
    """
    for spec in PLATFORMS:
        if spec.name == name:
            return spec
    raise SettingsError(f"'{name}' is no platform that this version knows; it knows {', '.join(NAMES)}")


def keeps_model_file(name: str) -> bool:
    """Return whether a platform's models are known by a file in their runs' folders; no unknown one's are."""
    return any(spec.name == name and spec.keeps_model_file for spec in PLATFORMS)


def secret_names() -> Iterator[str]:
    """Yield the variables, headers and fields whose values are secrets by what the platforms say."""
    for spec in PLATFORMS:
        yield from (spec.key_variable, *spec.secret_names)


def journal_folders() -> tuple[str, ...]:
    """Return the folders that platforms keep in a journal's."""
    return tuple(spec.journal_folder for spec in PLATFORMS if spec.journal_folder)


def licenses() -> tuple[str, ...]:
    """Return the licences that platforms can show of a model."""
    return tuple(dict.fromkeys(each for spec in PLATFORMS for each in spec.licenses))


def formats() -> tuple[str, ...]:
    """Return the formats into which platforms convert models."""
    return tuple(dict.fromkeys(each for spec in PLATFORMS for each in spec.formats))


def arguments() -> Mapping[str, tuple[type, ...]]:
    """Return the arguments of conversions, and the types that the value of each may have."""
    return {name: types for spec in PLATFORMS for name, types in spec.arguments.items()}


def tasks() -> tuple[str, ...]:
    """Return the tasks for which platforms take datasets."""
    return tuple(dict.fromkeys(each for spec in PLATFORMS for each in spec.tasks))


def imported(where: str) -> Any:
    """Return what a spec names, as `module:name`; its module is imported now."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
