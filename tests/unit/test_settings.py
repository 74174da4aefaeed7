from __future__ import annotations

import json
from pathlib import Path

import pytest

from journal.locations import chosen_journal
from uploader.errors import NoKey, SettingsError
from uploader.keys import key_for, no_key_at_all
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
            "UPLOADER_PROJECT": "mine",
            "ULTRALYTICS_PLATFORM_URL": " http://localhost:8000/ ",
            "ULTRALYTICS_API_KEY": " ul_key\n",
            "SSL_CERT_FILE": "ca.pem",
        }
    )
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


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ('"ul_key"', "ul_key"),
        ("' ul_key '\r\n", "ul_key"),
        ("\ufeff ul_key\u200b\n", "ul_key"),
        ('"', '"'),
        ('""', None),
        (" \n", None),
    ],
)
def test_what_came_with_a_key_is_no_part_of_it(tmp_path: Path, given: str, key: str | None) -> None:
    save_key(tmp_path, {"api_key": given})
    settings = Settings.load({"ULTRALYTICS_API_KEY": given, "HUB_API_KEY": given, "HOME": str(tmp_path)})
    assert (settings.api_key, settings.hub_key) == (key, key)
    assert Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)}).api_key == key


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
    settings = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)})
    assert (settings.api_key, settings.key_file_fault) == ("ul_saved", None)


@pytest.mark.parametrize("content", [b"", b'{"api_key": "ul_sa', b"\0\0\0\0", b"[" * 100_000])
def test_a_damaged_settings_file_is_named(tmp_path: Path, content: bytes) -> None:
    save_key(tmp_path, "")
    (tmp_path / "Ultralytics" / "settings.json").write_bytes(content)
    settings = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)})
    assert settings.api_key is None
    for said in (no_key_at_all(settings), said_of(settings)):
        assert f"{settings.key_file}: it is damaged" in said


def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "Ultralytics" / "settings.json").mkdir(parents=True)  # root may read any file, but no folder
    settings = Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)})
    assert "it cannot be read" in said_of(settings)


def test_a_missing_settings_file_is_no_fault(tmp_path: Path) -> None:
    assert Settings.load({"YOLO_CONFIG_DIR": str(tmp_path)}).key_file_fault is None


def said_of(settings: Settings) -> str:
    with pytest.raises(NoKey) as raised:
        key_for(settings, "ultralytics", settings.platform_url)
    return str(raised.value)


def test_a_user_without_a_home_has_settings_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", without_a_home)
    monkeypatch.setattr(Path, "expanduser", without_a_home)
    environ = {"ULTRALYTICS_API_KEY": "ul_key", "UPLOADER_JOURNAL": "~/journal"}
    assert (Settings.load(environ).api_key, chosen_journal(environ)) == ("ul_key", Path("~/journal").absolute())


def without_a_home(*_: object) -> Path:
    raise RuntimeError("Could not determine home directory.")
