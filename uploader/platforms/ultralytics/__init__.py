"""Ultralytics Platform: its webhooks, what they are sent, and its ul:// addresses."""

from __future__ import annotations

from uploader.platforms.spec import PlatformSpec, UpstreamReporting
from uploader.platforms.ultralytics.saved_key import saved_key
from uploader.platforms.ultralytics.wanted import ARGUMENTS, FORMATS, LICENSES, TASKS

ULTRALYTICS = PlatformSpec(
    name="ultralytics",
    title="Ultralytics Platform",
    client="uploader.platforms.ultralytics.client:connect",
    planner="uploader.platforms.ultralytics.planner:PLANNING",
    url_variable="ULTRALYTICS_PLATFORM_URL",
    key_variable="ULTRALYTICS_API_KEY",
    default_url="https://platform.ultralytics.com",
    is_default=True,
    saved_key=saved_key,
    login="run `yolo login`",
    model_field="platformModel",
    upstream=UpstreamReporting("ultralytics.utils.callbacks.platform", always=True),
    keeps_model_file=True,
    licenses=LICENSES,
    formats=FORMATS,
    arguments=ARGUMENTS,
    tasks=TASKS,
)
