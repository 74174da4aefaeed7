from __future__ import annotations

from pathlib import Path

import pytest
from support.settings import settings

from uploader.errors import KeyNotForHere, NoKey, SettingsError
from uploader.keys import key_for, missing_key, named_too
from uploader.settings import Settings

PUBLIC, HUB = "https://platform.ultralytics.com", "https://api.ultralytics.com"
OWN, OWN_HUB = "http://box:8765", "http://box:8766"
PLATFORM_KEY, HUB_KEY = "ul_platform", "ul_hub"
PLAIN = settings(PLATFORM_KEY)
AT_HOME = settings(PLATFORM_KEY, OWN)


@pytest.fixture(autouse=True)
def _without_the_settings_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What Ultralytics keeps in the machine's temporary folder, for a user without a home, is none of these tests'."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def key(chosen: Settings, platform: str, url: str) -> str | None:
    try:
        return key_for(chosen, platform, url)
    except NoKey:
        return None


@pytest.mark.parametrize(
    ("chosen", "platform", "url", "expected"),
    [
        (PLAIN, "ultralytics", PUBLIC, PLATFORM_KEY),
        (PLAIN, "ultralytics", f"{PUBLIC}:443/", PLATFORM_KEY),
        (PLAIN, "ultralytics", PUBLIC.replace("https", "http"), None),
        (PLAIN, "ultralytics", OWN, None),
        (AT_HOME, "ultralytics", OWN, PLATFORM_KEY),
        (AT_HOME, "ultralytics", f"{OWN}/elsewhere", None),
        (AT_HOME, "ultralytics", PUBLIC, None),
        (PLAIN, "hub", HUB, PLATFORM_KEY),
        (PLAIN, "hub", OWN_HUB, None),
        (PLAIN, "hub", PUBLIC, None),
        (settings(PLATFORM_KEY, hub_key=HUB_KEY), "hub", HUB, HUB_KEY),
        (settings(PLATFORM_KEY, hub_key=HUB_KEY), "ultralytics", PUBLIC, PLATFORM_KEY),
        (settings(PLATFORM_KEY, hub=OWN_HUB), "hub", OWN_HUB, PLATFORM_KEY),
        (settings(PLATFORM_KEY, hub=OWN_HUB), "hub", HUB, None),
        (AT_HOME, "hub", HUB, None),
        (settings(PLATFORM_KEY, OWN, hub_key=HUB_KEY), "hub", HUB, HUB_KEY),
        (settings(PLATFORM_KEY, OWN, hub=OWN_HUB), "hub", OWN_HUB, PLATFORM_KEY),
    ],
)
def test_a_key_goes_where_it_was_set_for(chosen: Settings, platform: str, url: str, expected: str | None) -> None:
    assert key(chosen, platform, url) == expected


def test_what_a_person_names_gets_its_key_and_nothing_else_does() -> None:
    named = named_too(PLAIN, "ultralytics", "http://Box:8765/")
    assert key(named, "ultralytics", OWN) == PLATFORM_KEY
    assert key(named, "ultralytics", PUBLIC) == PLATFORM_KEY
    assert key(named, "hub", OWN) is None
    assert key(PLAIN, "ultralytics", OWN) is None
    with pytest.raises(SettingsError, match=r"^--to: .*; not 'nowhere'"):
        named_too(PLAIN, "ultralytics", "nowhere")


def test_a_missing_key_is_told_from_one_that_is_for_elsewhere() -> None:
    with pytest.raises(NoKey, match=r"set ULTRALYTICS_API_KEY, or api_key in .*settings\.json") as none:
        key_for(Settings.load({"HOME": "/nowhere"}), "ultralytics", PUBLIC)
    assert not isinstance(none.value, KeyNotForHere)
    with pytest.raises(NoKey, match="set HUB_API_KEY"):
        key_for(AT_HOME, "hub", HUB)
    with pytest.raises(KeyNotForHere) as other:
        key_for(PLAIN, "ultralytics", OWN)
    assert f"set ULTRALYTICS_PLATFORM_URL={OWN}" in str(other.value)
    assert f"drain --to {OWN}`" in str(other.value)
    with pytest.raises(KeyNotForHere, match=f"set ULTRALYTICS_HUB_API={OWN}.*drain --to {OWN} --platform hub`"):
        key_for(PLAIN, "hub", OWN)


def test_a_key_that_a_run_will_miss_is_told_before() -> None:
    here, there = "http://here", "http://there"
    assert missing_key(settings("ul_key", here)) is None
    assert "no API key for http://here" in str(missing_key(settings(None, here)))
    assert "there is no API key: set" in str(missing_key(settings()))
    assert missing_key(settings("ul_key", here), [("ultralytics", here)]) is None
    assert isinstance(missing_key(settings("ul_key", here), [("ultralytics", there)]), KeyNotForHere)
    assert missing_key(settings("ul_key", here), [("ultralytics", "")]) is None
    assert isinstance(missing_key(settings("ul_key", here), [("hub", "")]), NoKey)


@pytest.mark.parametrize("url", [OWN, ""])
def test_a_platform_of_a_later_version_is_told(url: str) -> None:
    with pytest.raises(SettingsError, match="'later' is no platform that this version knows"):
        key_for(PLAIN, "later", url)


def test_a_platform_chosen_by_name_is_where_the_environment_says_else_where_a_person_says() -> None:
    there = named_too(settings(PLATFORM_KEY, hub=OWN_HUB), "hub", HUB)
    assert there.address_of("hub") == OWN_HUB
    assert named_too(PLAIN, "hub", HUB).address_of("hub") == HUB
    assert PLAIN.address_of("hub") is None
    assert PLAIN.address_of("ultralytics") == PUBLIC
    assert Settings().address_of("ultralytics") is None
