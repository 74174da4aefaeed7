"""Projects as the SDK reads them: a project is what models name, so it begins with the first and ends with the last."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.api import readback, views
from uploader.server.api.bodies import Json
from uploader.server.api.views import ModelSnapshot
from uploader.server.http_errors import NotFound
from uploader.server.local_platform import current_platform_of, platform_of
from uploader.server.storage.store_records import Project

_SUMMARY = frozenset(
    {
        "id",
        "model",
        "name",
        "task",
        "status",
        "epochs",
        "bestEpoch",
        "bestFitness",
        "metrics",
        "startedAt",
        "hasWeights",
        "trainArgs",
        "createdAt",
        "updatedAt",
    }
)
"""Fields of a model that the list in a project has, too."""


def list_projects(request: Request) -> Response:
    """List an owner's projects, newest first."""
    with current_platform_of(request).store.read() as rows:
        found = rows.projects(request.path_params["owner"])
    limit = readback.limit(request)
    shown = found if limit < 0 else found[:limit]
    return Json({"projects": [_project(each) for each in shown], "total": len(found), "region": views.REGION})


def get_project(request: Request) -> Response:
    """Return a project with its models, newest first."""
    platform = current_platform_of(request)
    owner, slug = request.path_params["owner"], request.path_params["project"]
    with platform.store.read() as rows:
        project = next((each for each in rows.projects(owner) if each.project == slug), None)
        if project is None:
            raise NotFound(f"No project '{owner}/{slug}' here: it has no model")
        snapshots = [ModelSnapshot.of(rows, each, newest_chunks=0) for each in rows.models(owner, slug, -1)]
    models = [_model(each, platform.now()) for each in snapshots]
    shown = {**_project(project), "metadata": {}}
    return Json({"project": shown, "models": models, "isOwner": owner == platform_of(request).owner})


routes = [
    Route("/api/projects/{owner}", list_projects, methods=["GET"]),
    Route("/api/projects/{owner}/{project}", get_project, methods=["GET"]),
]


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": f"{project.owner}/{project.project}",
        "owner": project.owner,
        "project": project.project,
        "name": project.name,
        "visibility": "private",
        "modelCount": project.models,
        "starCount": 0,
        "isStarred": False,
        "region": views.REGION,
        "createdAt": project.created_at,
        "updatedAt": project.updated_at,
    }


def _model(snapshot: ModelSnapshot, now: str) -> dict[str, Any]:
    summary = views.summary(snapshot, now)
    file = {"file": {"size": summary["file"]["size"]}} if "file" in summary else {}
    fields = {name: value for name, value in summary.items() if name in _SUMMARY}
    return {**fields, **file, "epochCount": len(snapshot.trained)}
