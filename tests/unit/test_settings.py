from __future__ import annotations

import json
from pathlib import Path

import pytest

from uploader.errors import SettingsError
from uploader.settings import Settings


def save_key(config: Path, content: object) -> None:
    folder = config / "Ultralytics"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_defaults_when_nothing_is_set(tmp_path: Path) -> None:
    settings = Settings.load({"HOME": str(tmp_path)})
    assert settings == Settings(key_file=settings.key_file)
    assert settings.platform_url == "https://platform.ultralytics.com"
    assert settings.default_project == "offline-runs"


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "HOME": str(tmp_path),
            "UPLOADER_JOURNAL": str(tmp_path / "journal"),
            "UPLOADER_PROJECT": "mine",
            "ULTRALYTICS_PLATFORM_URL": " http://localhost:8000/ ",
            "ULTRALYTICS_API_KEY": " ul_key\n",
            "SSL_CERT_FILE": "ca.pem",
        }
    )
    assert settings.journal == tmp_path / "journal"
    assert settings.default_project == "mine"
    assert settings.platform_url == settings.chosen_platform_url == "http://localhost:8000"
    assert settings.api_key == "ul_key"
    assert settings.ca_bundle == "ca.pem"


@pytest.mark.parametrize("variable", ["YOLO_CONFIG_DIR", "XDG_CONFIG_HOME"])
def test_the_saved_key_is_found(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    save_key(tmp_path, {"api_key": "ul_saved"})
    settings = Settings.load({variable: str(tmp_path), "HOME": "/nowhere"})
    assert settings.api_key == "ul_saved"
    assert settings.key_file == tmp_path / "Ultralytics" / "settings.json"


def test_on_macos_the_settings_are_in_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    save_key(tmp_path / "Library" / "Application Support", {"api_key": "ul_mac"})
    assert Settings.load({"HOME": str(tmp_path)}).api_key == "ul_mac"


def test_the_environment_goes_before_the_saved_key(tmp_path: Path) -> None:
    save_key(tmp_path, {"api_key": "ul_saved"})
    environ = {"YOLO_CONFIG_DIR": str(tmp_path), "ULTRALYTICS_API_KEY": "ul_env"}
    assert Settings.load(environ).api_key == "ul_env"


@pytest.mark.parametrize("content", ["not json", [], {}, {"api_key": ""}, {"api_key": 7}])
def test_a_settings_file_without_a_key_is_no_error(tmp_path: Path, content: object) -> None:
    save_key(tmp_path, content)
    assert Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)}).api_key is None


@pytest.mark.parametrize(("mode", "key"), [(0o700, "ul_mine"), (0o777, None)])
def test_a_fallback_folder_is_believed_only_when_it_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, key: str | None
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid)
    fallback = tmp_path / f"Ultralytics-{tmp_path.stat().st_uid}"
    fallback.mkdir()
    (fallback / "settings.json").write_text('{"api_key": "ul_mine"}')
    fallback.chmod(mode)
    assert Settings.load({"YOLO_CONFIG_DIR": str(tmp_path / "missing")}).api_key == key


@pytest.mark.parametrize("variable", ["ULTRALYTICS_PLATFORM_URL", "ULTRALYTICS_HUB_API", "ULTRALYTICS_HUB_WEB"])
def test_a_url_that_cannot_be_used_is_told_with_its_variable(variable: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable}: .* must look like https://host .*; not 'foo'"):
        Settings.load({variable: "foo"})


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(api_key="ul_secret"))


def test_hub_has_its_own_addresses_and_may_have_its_own_key(tmp_path: Path) -> None:
    plain = Settings.load({"HOME": str(tmp_path), "ULTRALYTICS_API_KEY": "ul_key"})
    assert (plain.hub_url, plain.hub_web) == ("https://api.ultralytics.com", "https://hub.ultralytics.com")
    assert plain.hub_key is None
    assert not plain.is_colab
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
    assert chosen.hub_url == chosen.chosen_hub_url == "http://localhost:8765"
    assert chosen.hub_web == "http://localhost:8766"
    assert chosen.hub_key == "hub_key"
    assert chosen.is_colab
    assert "hub_key" not in repr(chosen).replace("hub_key=", "")
