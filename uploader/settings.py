"""What the environment and the Ultralytics settings file say; the one reader of both.

Where the journal is, and how large it may be, is read by `journal.locations`.

| variable | meaning | default |
|---|---|---|
| `UPLOADER_PROJECT` | project for runs that named none | `offline-runs` |
| `ULTRALYTICS_PLATFORM_URL` | where runs that chose nothing go | `https://platform.ultralytics.com` |
| `ULTRALYTICS_API_KEY` | the key | `api_key` in the Ultralytics `settings.json` |
| `ULTRALYTICS_HUB_API` | where HUB's API is | none: its public service has ended |
| `ULTRALYTICS_HUB_WEB` | how URLs of HUB models begin | `https://hub.ultralytics.com` |
| `HUB_API_KEY` | HUB's key | none; `uploader.keys` says when the other key stands in |
| `COLAB_RELEASE_TAG`, `COLAB_BACKEND_VERSION` | this is a Colab notebook, which HUB is told | it is not |
| `YOLO_CONFIG_DIR` | folder above `Ultralytics/settings.json` | the per-user configuration folder |
| `CUDA_VISIBLE_DEVICES` | GPUs that a training may use, for its system metrics | all |
| `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` | certificates to trust | those of `certifi` |
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uploader.addresses import base_url
from uploader.errors import SettingsError

ULTRALYTICS = "ultralytics"
HUB = "hub"
PLATFORMS = (ULTRALYTICS, HUB)
"""What this version can deliver to."""
DEFAULT_PLATFORM_URL = "https://platform.ultralytics.com"
DEFAULT_HUB_API = "https://api.ultralytics.com"
DEFAULT_HUB_WEB = "https://hub.ultralytics.com"
DEFAULT_PROJECT = "offline-runs"
_AROUND_KEYS = " \t\r\n\v\f\0\u00a0\u200b\ufeff"
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Settings:
    """One reading of the environment.

    Attributes:
        journal: Folder of the journal that is worked on, where messages have to name it; None for the default one.
        chosen_platform_url: The platform's base URL if the environment names one, else None.
        api_key: Key of the platform, or None. Never shown by `repr`.
        key_file: The settings file in which a key is looked for, for messages.
        key_file_fault: Why no key can be read from it although it is there, else None.
        default_project: Project for runs that named none.
        ca_bundle: File or folder of certificates to trust, or None for the usual ones.
        visible_gpus: What CUDA is told to show, e.g. `2,3`; empty for every GPU.
        chosen_hub_url: Base URL of HUB's API if the environment names one, else None.
        hub_web: What URLs of HUB models begin with, without a trailing slash.
        hub_key: HUB's own key, or None. Never shown by `repr`.
        is_colab: Whether this is a Colab notebook.
        named: Name of the API and base URL of the platforms that a person named beyond the environment.
    """

    journal: Path | None = None
    chosen_platform_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    key_file: Path = Path("settings.json")
    key_file_fault: str | None = None
    default_project: str = DEFAULT_PROJECT
    ca_bundle: str | None = None
    visible_gpus: str = ""
    chosen_hub_url: str | None = None
    hub_web: str = DEFAULT_HUB_WEB
    hub_key: str | None = field(default=None, repr=False)
    is_colab: bool = False
    named: tuple[tuple[str, str], ...] = ()

    @property
    def platform_url(self) -> str:
        """Base URL for runs that chose no destination, without a trailing slash."""
        return self.chosen_platform_url or DEFAULT_PLATFORM_URL

    @property
    def chosen_routes(self) -> tuple[tuple[str, str], ...]:
        """Name of the API and base URL of each platform that the environment names."""
        chosen = ((ULTRALYTICS, self.chosen_platform_url), (HUB, self.chosen_hub_url))
        return tuple((platform, url) for platform, url in chosen if url)

    @property
    def default_routes(self) -> tuple[tuple[str, str], ...]:
        """Name of the API and base URL of each platform that gets runs which chose none.

        There is none while no address and no key is set: such a drain delivers nothing, and must not decide for good.
        """
        public = ((ULTRALYTICS, DEFAULT_PLATFORM_URL),) if self.api_key else ()
        return self.chosen_routes or public

    def address_of(self, platform: str) -> str | None:
        """Return the base URL that a person or the environment gives a platform which was chosen by its name.

        The public platform counts where its key is set. The public HUB does not, since its service has ended.

        Args:
            platform: `ultralytics` or `hub`.
        """
        public = ((ULTRALYTICS, DEFAULT_PLATFORM_URL),) if self.api_key else ()
        known = (*self.chosen_routes, *self.named, *public)
        return next((url for name, url in known if name == platform), None)

    def url_of(self, platform: str) -> str:
        """Return the base URL of a platform that is known by its name.

        Args:
            platform: `ultralytics` or `hub`.

        Raises:
            SettingsError: It is neither.
        """
        urls = {ULTRALYTICS: self.platform_url, HUB: self.hub_url}
        if platform not in urls:
            raise SettingsError(f"'{platform}' is no platform that this version knows; it knows {', '.join(urls)}")
        return urls[platform]

    @property
    def hub_url(self) -> str:
        """Base URL of HUB's API, without a trailing slash."""
        return self.chosen_hub_url or DEFAULT_HUB_API

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment, and the key from the settings file where the environment has none.

        Args:
            environ: The variables; the process's own when None.

        Raises:
            SettingsError: A URL in it is no usable base URL.
        """
        env = os.environ if environ is None else environ
        key_file = _config_folder(env) / "settings.json"
        saved, fault = _saved_key(key_file)
        return cls(
            chosen_platform_url=_url(env, "ULTRALYTICS_PLATFORM_URL"),
            api_key=_bare(env.get("ULTRALYTICS_API_KEY", "")) or saved,
            key_file=key_file,
            key_file_fault=fault,
            default_project=env.get("UPLOADER_PROJECT") or DEFAULT_PROJECT,
            ca_bundle=next((env[name] for name in _CA_VARIABLES if env.get(name)), None),
            visible_gpus=env.get("CUDA_VISIBLE_DEVICES", ""),
            chosen_hub_url=_url(env, "ULTRALYTICS_HUB_API"),
            hub_web=_url(env, "ULTRALYTICS_HUB_WEB") or DEFAULT_HUB_WEB,
            hub_key=_bare(env.get("HUB_API_KEY", "")) or None,
            is_colab="COLAB_RELEASE_TAG" in env or "COLAB_BACKEND_VERSION" in env,
        )


def _url(env: Mapping[str, str], name: str) -> str | None:
    text = env.get(name, "").strip()
    try:
        return base_url(text) if text else None
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def _config_folder(env: Mapping[str, str]) -> Path:
    """Name the folder of the Ultralytics settings as `ultralytics` chooses it.

    It falls back to a folder of the user's own under the temporary folder where the usual one cannot be made;
    anybody may write there, so one that others own or can enter is not believed.
    """
    usual = _user_config(env) / "Ultralytics"
    fallback = Path(tempfile.gettempdir()) / f"Ultralytics-{os.getuid()}"
    return fallback if not usual.is_dir() and _is_private(fallback) else usual


def _user_config(env: Mapping[str, str]) -> Path:
    if chosen := env.get("YOLO_CONFIG_DIR"):
        return _expanded(chosen)
    home = Path(env["HOME"]) if env.get("HOME") else _home()
    if home is None:
        return Path(tempfile.gettempdir()) / f"no-home-{os.getuid()}"  # not there: the fallback is looked at
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return Path(env.get("XDG_CONFIG_HOME") or home / ".config")


def _is_private(folder: Path) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # `~` of a user who has no home
        return Path(path)


def _home() -> Path | None:
    """Return this user's home; None for one without HOME and without an entry among the users."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _bare(key: str) -> str:
    """Return a key without what came with it: quotes of an env file, spaces, the line's end, a byte order mark."""
    key = key.strip(_AROUND_KEYS)
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'":
        key = key[1:-1].strip(_AROUND_KEYS)
    return key


def _saved_key(file: Path) -> tuple[str | None, str | None]:
    """Read the key that `yolo login` saved; return it, and why there is none although the file is there."""
    try:
        saved = json.loads(_decoded(file.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None, None
    except OSError as error:
        return None, f"it cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return None, "it is damaged: what it holds is no JSON; `yolo settings reset` makes it anew"
    key = saved.get("api_key") if isinstance(saved, dict) else None
    return (_bare(key) or None, None) if isinstance(key, str) else (None, None)


def _decoded(content: bytes) -> str:
    """Return a text file's content, by its byte order mark; editors write any of these.

    Of another encoding than UTF-8 without a mark, such as Windows-1252, the key and the JSON around it are the same.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", "replace")
