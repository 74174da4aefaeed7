"""HUB's models as HTML: a table on `/`, and a page per model at `/hub/MODEL` and `/models/MODEL`."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import hub_messages
from uploader.server.api.hub_endpoints import epochs_done, weights_url
from uploader.server.http_errors import NotFound
from uploader.server.local_platform import platform_of
from uploader.server.pages.markup import element, table
from uploader.server.pages.page_parts import clock, curves, detail_page, details, progress, section, status
from uploader.server.storage.hub_store import HubModel, HubRows, HubWeights
from uploader.server.storage.store_records import Epoch

_MAX_MODELS = 500


def overview(rows: HubRows, now: str) -> list[Element]:
    """Return a section with the newest models, or an empty list if there are none."""
    models = rows.models(_MAX_MODELS)
    if not models:
        return []
    headings = ["Model", "Status", "Epochs", "Started", "Newest result", "Arrived", "Last heartbeat"]
    return [section("HUB", table(headings, [_overview_row(rows, each, now) for each in models]))]


def show_model(request: Request) -> Response:
    """Show one model: its state, charts, weights and settings."""
    platform = platform_of(request)
    with platform.store.read() as store:
        rows = store.hub
        model = rows.model(request.path_params["model"])
        if model is None:
            raise NotFound("No such model here: it was never created, or it was deleted")
        metrics, weights = rows.epochs(model.id), list(rows.weights(model.id).values())
        state = hub_messages.status(model, rows.weights(model.id), len(metrics), platform.now())
        done = epochs_done(rows, model.id)
    epochs = [Epoch(number, {"metrics": each}, "") for number, each in metrics.items()]
    parts = {"Settings": model.config, "Dataset": model.dataset, "Lineage": model.lineage, "About": model.meta}
    sections = [_state(model, state, done), curves(epochs), _weights(request, weights), details(parts)]
    return detail_page(request, _name(model), *sections, changing=state == "connected")


routes = [
    Route("/hub/{model}", show_model, methods=["GET"]),
    Route("/models/{model}", show_model, methods=["GET"]),  # as in HUB's model URLs: {ULTRALYTICS_HUB_WEB}/models/ID
]


def _name(model: HubModel) -> str:
    return str(model.meta.get("name") or model.id)


def _overview_row(rows: HubRows, model: HubModel, now: str) -> list[Element | str]:
    epochs = rows.count_epochs(model.id)
    state = hub_messages.status(model, rows.weights(model.id), epochs, now)
    link = element("a", _name(model), href=f"/hub/{model.id}")
    done = progress(epochs_done(rows, model.id), model.config.get("epochs"))
    times = (model.started_at, model.heard_at, model.created_at, model.heartbeat_at)
    return [link, status(state), done, *(clock(each or "") for each in times)]


def _state(model: HubModel, state: str, epochs: int) -> Element:
    facts: list[list[Element | str]] = [
        ["Status", status(state)],
        ["Epochs", progress(epochs, model.config.get("epochs"))],
        ["Started", clock(model.started_at or model.created_at)],
        ["Newest result", clock(model.heard_at or model.updated_at)],
        ["Arrived", clock(model.created_at)],
        ["Last heartbeat", clock(model.heartbeat_at or "")],
        ["Last change", clock(model.updated_at)],
    ]
    return element("section", table(["", ""], facts))


def _weights(request: Request, weights: list[HubWeights]) -> Element:
    rows: list[list[Element | str]] = []
    for each in weights:
        link = element("a", f"{each.kind}.pt", href=weights_url(request, each.model_id, each.kind))
        score = "—" if each.map is None else f"{each.map:.4g}"
        times = (clock(each.saved_at), clock(each.arrived_at))
        rows.append([link, f"{each.size:,} bytes", element("code", each.sha256), str(each.epoch + 1), score, *times])
    headings = ["File", "Size", "SHA-256", "Epoch", "mAP", "Saved", "Arrived"]
    return section("Weights", *([table(headings, rows)] if rows else []))
