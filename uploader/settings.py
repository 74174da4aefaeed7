"""Settings from the environment. Only `journal.locations` reads it as well, for the place of the journal.

| variable | meaning | default |
|---|---|---|
| `UPLOADER_DRAIN` | whether a drain is kept at work beside each training: `1` or `0` | `0` |
| `UPLOADER_PROOF_KEY` | file with the key pair that signs proofs | `proof-key` in the user's configuration folder |
| `UPLOADER_PROJECT` | project for runs that named none | `offline-runs` |
| `CUDA_VISIBLE_DEVICES` | GPUs that a training may use, for its system metrics | all |
| `RANK`, else `LOCAL_RANK` | set by launchers: of the processes of one training, the first (0) records | 0 |
| `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` | certificates to trust | those of `certifi` |

The variables of each platform are named in its spec, in its folder below `uploader/platforms`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from platformdirs import user_config_path

from uploader.addresses import base_url
from uploader.errors import SettingsError
from uploader.platforms.registry import PLATFORMS, spec_of
from uploader.platforms.spec import PlatformSpec, SavedKey
from uploader.switches import is_on

DEFAULT_PROJECT = "offline-runs"
_AROUND_KEYS = " \t\r\n\v\f\0\u00a0\u200b\ufeff"
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def wants_colours(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether text may be coloured, as far as the environment says (https://no-color.org)."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def has_display(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether windows can be opened, as far as the environment says."""
    return sys.platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


Route = tuple[str, str]
"""Name of a platform's API, and its base URL."""


@dataclass(frozen=True)
class Account:
    """The settings of one platform.

    Attributes:
        url: The base URL from the environment, without a trailing slash, else None.
        key: The key, or None. Never shown by `repr`.
        saved: The file that may hold a saved key, if the platform has one.
        options: The platform's other variables, as far as they are set.
    """

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    saved: SavedKey | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """One reading of the environment.

    Attributes:
        journal: Folder of the journal, if messages have to name it; None for the default one.
        default_project: Project for runs that named none.
        ca_bundle: File or folder of certificates to trust, or None for the default ones.
        drain: Whether a drain is kept at work beside each training.
        visible_gpus: The GPUs that CUDA may use, e.g. `2,3`; empty for all.
        rank: Number of this process among those that train together, as their launcher says; 0 for one that trains
            alone.
        accounts: The settings of each platform, by its name.
        named: Name of the API and base URL of each platform that a person named on the command line.
    """

    journal: Path | None = None
    default_project: str = DEFAULT_PROJECT
    ca_bundle: str | None = None
    drain: bool = False
    visible_gpus: str = ""
    rank: int = 0
    accounts: Mapping[str, Account] = field(default_factory=dict)
    named: tuple[Route, ...] = ()

    def account(self, platform: str) -> Account:
        """Return the settings of a platform, empty ones if there are none."""
        return self.accounts.get(platform, Account())

    def with_key(self, platform: str, key: str) -> Settings:
        """Return settings with another key for a platform."""
        return replace(self, accounts={**self.accounts, platform: replace(self.account(platform), key=key)})

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that is set."""
        return tuple(account.key for account in self.accounts.values() if account.key)

    @property
    def chosen_routes(self) -> tuple[Route, ...]:
        """Each platform that the environment names."""
        return tuple((spec.name, url) for spec in PLATFORMS if (url := self.account(spec.name).url))

    @property
    def default_routes(self) -> tuple[Route, ...]:
        """Each platform for runs without a chosen one.

        There is none while neither an address nor a key is set: such a drain must not decide for good.
        """
        return self.chosen_routes or self._public_routes

    @property
    def _public_routes(self) -> tuple[Route, ...]:
        """The public address of each platform for which a key alone is enough."""
        public = (spec for spec in PLATFORMS if spec.is_default)
        return tuple((spec.name, spec.default_url) for spec in public if self.account(spec.name).key)

    def address_of(self, platform: str) -> str | None:
        """Return the base URL of a platform that was chosen by name, if a person or the environment gives one.

        Args:
            platform: Name of its API.
        """
        known = (*self.chosen_routes, *self.named, *self._public_routes)
        return next((url for name, url in known if name == platform), None)

    def url_of(self, platform: str) -> str:
        """Return a platform's base URL without a trailing slash: the environment's, else the public one.

        Args:
            platform: Name of its API.

        Returns:
            The URL; "" if there is neither.

        Raises:
            SettingsError: This version knows no such platform.
        """
        return self.account(platform).url or spec_of(platform).default_url

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment, and the files with saved keys.

        Args:
            environ: The variables; the process's own when None.

        Raises:
            SettingsError: A URL in it is no usable base URL.
        """
        env = os.environ if environ is None else environ
        return cls(
            default_project=env.get("UPLOADER_PROJECT") or DEFAULT_PROJECT,
            ca_bundle=next((env[name] for name in _CA_VARIABLES if env.get(name)), None),
            drain=is_on(env, "UPLOADER_DRAIN"),
            visible_gpus=env.get("CUDA_VISIBLE_DEVICES", ""),
            rank=_rank(env),
            accounts={spec.name: _account(spec, env) for spec in PLATFORMS},
        )


def proof_key_file(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file with the key pair that signs proofs: `UPLOADER_PROOF_KEY`, else one of this user's configuration.

    Args:
        environ: The variables; the process's own when None.

    Returns:
        Its path, whether it exists or not; None for a user without a home.
    """
    env = os.environ if environ is None else environ
    if named := env.get("UPLOADER_PROOF_KEY", "").strip():
        return Path(os.path.abspath(os.path.expanduser(named)))  # noqa: PTH100, PTH111 - these never raise
    try:
        folder = user_config_path("offline-uploader", appauthor=False)
    except RuntimeError:
        return None
    return folder / "proof-key" if folder.is_absolute() else None


def _account(spec: PlatformSpec, env: Mapping[str, str]) -> Account:
    saved = spec.saved_key(env) if spec.saved_key else None
    options = {name: env[name] for name in spec.further_variables if name in env}
    for name in spec.further_urls:
        if url := _url(env, name):
            options[name] = url
    return Account(
        url=_url(env, spec.url_variable),
        key=_bare(env.get(spec.key_variable, "")) or _bare(saved.key or "" if saved else "") or None,
        saved=saved,
        options=options,
    )


def _url(env: Mapping[str, str], name: str) -> str | None:
    text = env.get(name, "").strip()
    try:
        return base_url(text) if text else None
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def _rank(env: Mapping[str, str]) -> int:
    """Return the rank that a launcher such as `torchrun` gave this process; 0 where there is none."""
    text = next((env[name] for name in ("RANK", "LOCAL_RANK") if env.get(name)), "")
    return max(0, int(text)) if text.lstrip("-").isdecimal() else 0


def _bare(key: str) -> str:
    """Strip a key of quotes from an env file, white space and byte order marks."""
    key = key.strip(_AROUND_KEYS)
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'":
        key = key[1:-1].strip(_AROUND_KEYS)
    return key
