"""Records training runs in a local journal and delivers them when the platform can be reached.

    import uploader
    from ultralytics import YOLO

    model = uploader.attach(YOLO("yolo11n.pt"))
    model.train(data="coco8.yaml", epochs=3)

Importing this package imports nothing else; each name below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from uploader.by_address import load_hub_model, resolve_platform_uri
    from uploader.callbacks.attach import attach, detach
    from uploader.delivery.draining import drain
    from uploader.delivery.summary import Summary
    from uploader.intents import Wanted, convert, describe, upload_dataset
    from uploader.live.active_run import ActiveRun
    from uploader.live.starting import start_run
    from uploader.platforms.hub.loading import HubModel
    from uploader.prefetching import prefetch
    from uploader.reports.journal_status import JournalStatus, RunStatus, status
    from uploader.reports.recorded_runs import RecordedJournal, RecordedRun, open
    from uploader.verification.runs import verify
    from uploader.verification.verifying import Verified
    from uploader.viewing.panel import Panel, panel

DISTRIBUTION = "offline-uploader"  # other projects have modules of this name: `uploader.names` looks at this

__all__ = [
    "ActiveRun",
    "HubModel",
    "JournalStatus",
    "Panel",
    "RecordedJournal",
    "RecordedRun",
    "RunStatus",
    "Summary",
    "Verified",
    "Wanted",
    "attach",
    "convert",
    "describe",
    "detach",
    "drain",
    "load_hub_model",
    "open",
    "panel",
    "prefetch",
    "resolve_platform_uri",
    "start_run",
    "status",
    "upload_dataset",
    "verify",
]

_HOMES = {
    "ActiveRun": "uploader.live.active_run",
    "HubModel": "uploader.platforms.hub.loading",
    "JournalStatus": "uploader.reports.journal_status",
    "Panel": "uploader.viewing.panel",
    "RecordedJournal": "uploader.reports.recorded_runs",
    "RecordedRun": "uploader.reports.recorded_runs",
    "RunStatus": "uploader.reports.journal_status",
    "Summary": "uploader.delivery.summary",
    "Verified": "uploader.verification.verifying",
    "Wanted": "uploader.intents",
    "attach": "uploader.callbacks.attach",
    "convert": "uploader.intents",
    "describe": "uploader.intents",
    "detach": "uploader.callbacks.attach",
    "drain": "uploader.delivery.draining",
    "load_hub_model": "uploader.by_address",
    "open": "uploader.reports.recorded_runs",
    "panel": "uploader.viewing.panel",
    "prefetch": "uploader.prefetching",
    "resolve_platform_uri": "uploader.by_address",
    "start_run": "uploader.live.starting",
    "status": "uploader.reports.journal_status",
    "upload_dataset": "uploader.intents",
    "verify": "uploader.verification.runs",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version(DISTRIBUTION)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("uploader.names")
    module = import_module(_HOMES[name])
    # All names of the module at once: importing it has bound its own name, which `attach` shares, to the module.
    globals().update({each: getattr(module, each) for each, home in _HOMES.items() if home == module.__name__})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
