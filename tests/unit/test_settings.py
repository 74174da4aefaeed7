from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from journal.locations import chosen_journal
from uploader.errors import NoKey, SettingsError
from uploader.keys import key_for, no_key_at_all
from uploader.platforms.hub import pages_of
from uploader.platforms.spec import SavedKey
from uploader.settings import Account, Settings

CONFIG = "Library/Application Support" if sys.platform == "darwin" else ".config"


@pytest.fixture(autouse=True)
def _without_the_settings_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What Ultralytics keeps in the machine's temporary folder, for a user without a home, is none of these tests'."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def key(environ: dict[str, str]) -> str | None:
    return Settings.load(environ).account("ultralytics").key


def save_key(config: Path, content: object) -> None:
    folder = config / "Ultralytics"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_defaults_when_nothing_is_set(tmp_path: Path) -> None:
    settings = Settings.load({"HOME": str(tmp_path)})
    saved = SavedKey(tmp_path / CONFIG / "Ultralytics" / "settings.json")
    assert settings == Settings(accounts={"ultralytics": Account(saved=saved), "hub": Account()})
    assert settings.url_of("ultralytics") == "https://platform.ultralytics.com"
    assert settings.default_project == "offline-runs"


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "HOME": str(tmp_path),
            "UPLOADER_PROJECT": "mine",
            "ULTRALYTICS_PLATFORM_URL": " http://localhost:8000/ ",
            "ULTRALYTICS_API_KEY": " ul_key\n",
            "SSL_CERT_FILE": "ca.pem",
        }
    )
    assert settings.default_project == "mine"
    platform = settings.account("ultralytics")
    assert settings.url_of("ultralytics") == platform.url == "http://localhost:8000"
    assert platform.key == "ul_key"
    assert settings.ca_bundle == "ca.pem"


@pytest.mark.parametrize("variable", ["YOLO_CONFIG_DIR", "XDG_CONFIG_HOME"])
def test_the_saved_key_is_found(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    save_key(tmp_path, {"api_key": "ul_saved"})
    platform = Settings.load({variable: str(tmp_path), "HOME": "/nowhere"}).account("ultralytics")
    assert platform.key == "ul_saved"
    assert platform.saved is not None
    assert platform.saved.file == tmp_path / "Ultralytics" / "settings.json"


def test_on_macos_the_settings_are_in_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    save_key(tmp_path / "Library" / "Application Support", {"api_key": "ul_mac"})
    assert key({"HOME": str(tmp_path)}) == "ul_mac"


def test_the_environment_goes_before_the_saved_key(tmp_path: Path) -> None:
    save_key(tmp_path, {"api_key": "ul_saved"})
    environ = {"YOLO_CONFIG_DIR": str(tmp_path), "ULTRALYTICS_API_KEY": "ul_env"}
    assert key(environ) == "ul_env"


@pytest.mark.parametrize("content", ["not json", [], {}, {"api_key": ""}, {"api_key": 7}])
def test_a_settings_file_without_a_key_is_no_error(tmp_path: Path, content: object) -> None:
    save_key(tmp_path, content)
    assert key({"YOLO_CONFIG_DIR": str(tmp_path)}) is None


@pytest.mark.parametrize(("mode", "expected"), [(0o700, "ul_mine"), (0o777, None)])
def test_a_fallback_folder_is_believed_only_when_it_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, expected: str | None
) -> None:
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid)
    fallback = tmp_path / f"Ultralytics-{tmp_path.stat().st_uid}"
    fallback.mkdir()
    (fallback / "settings.json").write_text('{"api_key": "ul_mine"}')
    fallback.chmod(mode)
    assert key({"YOLO_CONFIG_DIR": str(tmp_path / "missing")}) == expected


@pytest.mark.parametrize("variable", ["ULTRALYTICS_PLATFORM_URL", "ULTRALYTICS_HUB_API", "ULTRALYTICS_HUB_WEB"])
def test_a_url_that_cannot_be_used_is_told_with_its_variable(variable: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable}: .* must look like https://host .*; not 'foo'"):
        Settings.load({variable: "foo"})


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings.load({"ULTRALYTICS_API_KEY": "ul_secret", "HOME": "/nowhere"}))
    assert "secret" not in repr(SavedKey(Path(), "ul_secret"))


def test_hub_has_its_own_addresses_and_may_have_its_own_key(tmp_path: Path) -> None:
    plain = Settings.load({"HOME": str(tmp_path), "ULTRALYTICS_API_KEY": "ul_key"})
    assert plain.url_of("hub") == "https://api.ultralytics.com"
    assert pages_of(plain.account("hub").options) == "https://hub.ultralytics.com"
    assert plain.account("hub") == Account()
    chosen = Settings.load(
        {
            "HOME": str(tmp_path),
            "ULTRALYTICS_HUB_API": "http://localhost:8765/",
            "ULTRALYTICS_HUB_WEB": "http://localhost:8766/",
            "ULTRALYTICS_API_KEY": "ul_key",
            "HUB_API_KEY": "hub_key",
            "COLAB_RELEASE_TAG": "1",
        }
    )
    hub = chosen.account("hub")
    assert chosen.url_of("hub") == hub.url == "http://localhost:8765"
    assert pages_of(hub.options) == "http://localhost:8766"
    assert hub.key == "hub_key"
    assert hub.options["COLAB_RELEASE_TAG"] == "1"
    assert "hub_key" not in repr(chosen)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"ul_key"', "ul_key"),
        ("' ul_key '\r\n", "ul_key"),
        ("\ufeff ul_key\u200b\n", "ul_key"),
        ('"', '"'),
        ('""', None),
        (" \n", None),
    ],
)
def test_what_came_with_a_key_is_no_part_of_it(tmp_path: Path, given: str, expected: str | None) -> None:
    save_key(tmp_path, {"api_key": given})
    settings = Settings.load({"ULTRALYTICS_API_KEY": given, "HUB_API_KEY": given, "HOME": str(tmp_path)})
    assert (settings.account("ultralytics").key, settings.account("hub").key) == (expected, expected)
    assert key({"YOLO_CONFIG_DIR": str(tmp_path)}) == expected


@pytest.mark.parametrize(
    "content",
    [
        '{"api_key": "ul_saved", "runs_dir": "C:/Läufe"}'.encode("utf-8-sig"),
        '{"api_key": "ul_saved", "runs_dir": "C:/Läufe"}'.encode("utf-16"),
        b"\xfe\xff" + '{"api_key": "ul_saved"}'.encode("utf-16-be"),
        '{"api_key": "ul_saved", "runs_dir": "C:/Läufe"}'.encode("cp1252"),
    ],
    ids=["UTF-8 with a mark", "UTF-16", "UTF-16, the other way round", "Windows-1252"],
)
def test_the_settings_file_is_read_in_the_encodings_that_editors_write(tmp_path: Path, content: bytes) -> None:
    save_key(tmp_path, "")
    (tmp_path / "Ultralytics" / "settings.json").write_bytes(content)
    platform = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)}).account("ultralytics")
    assert platform.key == "ul_saved"
    assert platform.saved is not None
    assert platform.saved.fault is None


@pytest.mark.parametrize("content", [b"", b'{"api_key": "ul_sa', b"\0\0\0\0", b"[" * 100_000])
def test_a_damaged_settings_file_is_named(tmp_path: Path, content: bytes) -> None:
    save_key(tmp_path, "")
    (tmp_path / "Ultralytics" / "settings.json").write_bytes(content)
    settings = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)})
    assert settings.account("ultralytics").key is None
    for said in (no_key_at_all(settings), said_of(settings)):
        assert f"{tmp_path / 'Ultralytics' / 'settings.json'}: it is damaged" in said


def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "Ultralytics" / "settings.json").mkdir(parents=True)  # root may read any file, but no folder
    settings = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)})
    assert "it cannot be read" in said_of(settings)


def test_a_missing_settings_file_is_no_fault(tmp_path: Path) -> None:
    saved = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)}).account("ultralytics").saved
    assert saved is not None
    assert saved.fault is None


def said_of(settings: Settings) -> str:
    with pytest.raises(NoKey) as raised:
        key_for(settings, "ultralytics", settings.url_of("ultralytics"))
    return str(raised.value)


def test_a_user_without_a_home_has_settings_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", without_a_home)
    monkeypatch.setattr(Path, "expanduser", without_a_home)
    environ = {"ULTRALYTICS_API_KEY": "ul_key", "UPLOADER_JOURNAL": "~/journal"}
    assert (key(environ), chosen_journal(environ)) == ("ul_key", Path("~/journal").absolute())


def without_a_home(*_: object) -> Path:
    raise RuntimeError("Could not determine home directory.")
