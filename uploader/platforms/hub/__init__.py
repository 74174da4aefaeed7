"""Ultralytics HUB: its API, what its models are made of, and the models that it has."""

from __future__ import annotations

from collections.abc import Mapping

from uploader.platforms.spec import PlatformSpec, UpstreamReporting

WEB_VARIABLE = "ULTRALYTICS_HUB_WEB"
DEFAULT_WEB = "https://hub.ultralytics.com"
COLAB_VARIABLES = ("COLAB_RELEASE_TAG", "COLAB_BACKEND_VERSION")
RESUMED = "resumed"
"""Field of a planned registration that the client does not send: the training was resumed."""


def _trained_model(trainer: object) -> str | None:
    """Return the id of the model that upstream was given by its URL, `YOLO("https://…/models/ID")`; 8.3 only."""
    model_id = getattr(getattr(getattr(trainer, "hub_session", None), "model", None), "id", None)
    return None if model_id is None else str(model_id)


HUB = PlatformSpec(
    name="hub",
    title="Ultralytics HUB",
    client="uploader.platforms.hub.client:connect",
    planner="uploader.platforms.hub.planner:PLANNING",
    url_variable="ULTRALYTICS_HUB_API",
    key_variable="HUB_API_KEY",
    default_url="https://api.ultralytics.com",  # not the default of any run: the public service has ended
    fallback_key_of="ultralytics",
    further_urls={WEB_VARIABLE: DEFAULT_WEB},
    further_variables=COLAB_VARIABLES,
    journal_folder="hub",
    model_field="hubModel",
    trained_model=_trained_model,
    upstream=UpstreamReporting(
        "ultralytics.utils.callbacks.hub",  # its other callbacks send usage events
        frozenset(
            {
                "on_pretrain_routine_start",
                "on_pretrain_routine_end",
                "on_fit_epoch_end",
                "on_model_save",
                "on_train_end",
            }
        ),
    ),
)


def pages_of(options: Mapping[str, str]) -> str:
    """Return what the URLs of HUB's models begin with, without a trailing slash.

    Args:
        options: What the environment says for HUB besides its address and key.
    """
    return options.get(WEB_VARIABLE, DEFAULT_WEB)
