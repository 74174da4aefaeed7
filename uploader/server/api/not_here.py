"""What the platform's API has and this server does not: each operation is refused with 501, and says so.

The paths are those of the SDK 0.1.99; `tests/integration/server/test_sdk_operations.py` compares them with it.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from uploader.server.http_errors import NotHere
from uploader.server.local_platform import current_platform_of

_HERE = "it keeps trainings, their models and files; docs/local-platform.md lists what it answers"

_PATHS = (
    ("/api/api-keys", "GET"),
    ("/api/billing/transactions", "GET"),
    ("/api/billing/usage-summary", "GET"),
    ("/api/datasets/{owner}", "GET"),
    ("/api/datasets/{owner}/{dataset}", "DELETE"),
    ("/api/datasets/{owner}/{dataset}/class-stats", "GET"),
    ("/api/datasets/{owner}/{dataset}/classes/delete", "POST"),
    ("/api/datasets/{owner}/{dataset}/classes/merge", "POST"),
    ("/api/datasets/{owner}/{dataset}/clone", "POST"),
    ("/api/datasets/{owner}/{dataset}/embeddings", "DELETE GET POST"),
    ("/api/datasets/{owner}/{dataset}/export", "PATCH"),
    ("/api/datasets/{owner}/{dataset}/images", "GET POST"),
    ("/api/datasets/{owner}/{dataset}/images/adopt", "POST"),
    ("/api/datasets/{owner}/{dataset}/images/clustering", "GET"),
    ("/api/datasets/{owner}/{dataset}/models", "GET"),
    ("/api/datasets/{owner}/{dataset}/predict/batch", "DELETE GET POST"),
    ("/api/datasets/{owner}/{dataset}/restore", "POST"),
    ("/api/datasets/{owner}/{dataset}/splits/redistribute", "POST"),
    ("/api/datasets/{owner}/{dataset}/versions/compare", "GET"),
    ("/api/deployments/{owner}", "GET POST"),
    ("/api/deployments/{owner}/{deployment}", "DELETE GET PATCH"),
    ("/api/deployments/{owner}/{deployment}/health", "GET"),
    ("/api/deployments/{owner}/{deployment}/logs", "GET"),
    ("/api/deployments/{owner}/{deployment}/metrics", "GET"),
    ("/api/deployments/{owner}/{deployment}/predict", "POST"),
    ("/api/explore/search", "GET"),
    ("/api/images/bulk", "DELETE PATCH"),
    ("/api/images/urls", "POST"),
    ("/api/images/{image_id}", "DELETE GET PATCH"),
    ("/api/images/{image_id}/predict", "POST"),
    ("/api/images/{image_id}/similar", "GET"),
    ("/api/integrations/buckets", "GET POST"),
    ("/api/integrations/buckets/discover", "POST"),
    ("/api/integrations/buckets/{id}", "DELETE PATCH"),
    ("/api/integrations/buckets/{id}/objects", "GET"),
    ("/api/integrations/roboflow/import", "POST"),
    ("/api/integrations/roboflow/preview", "POST"),
    ("/api/mobile/models/{export_id}", "POST"),
    ("/api/models/{owner}/{project}/{model}/clone", "POST"),
    ("/api/models/{owner}/{project}/{model}/exports/{export_id}/mobile", "POST"),
    ("/api/models/{owner}/{project}/{model}/predict", "POST"),
    ("/api/models/{owner}/{project}/{model}/similar-images", "GET"),
    ("/api/projects", "POST"),
    ("/api/projects/{owner}/{project}", "DELETE PATCH"),
    ("/api/projects/{owner}/{project}/clone", "POST"),
    ("/api/storage", "GET"),
    ("/api/training/start", "POST"),
    ("/api/trash", "DELETE GET POST"),
    ("/api/users", "GET PATCH"),
    ("/api/workflows", "DELETE GET PUT"),
)


def _refusal(method: str, path: str) -> Callable[[Request], Response]:
    def refuse(request: Request) -> Response:
        current_platform_of(request)
        raise NotHere(f"The local platform has no {method} {path}: {_HERE}")

    return refuse


routes = [
    Route(path, _refusal(method, path), methods=[method]) for path, methods in _PATHS for method in methods.split(" ")
]
