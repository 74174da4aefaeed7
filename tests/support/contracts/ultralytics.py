"""Ultralytics Platform, for the contract suite."""

from __future__ import annotations

from support.contract import Client, connects
from support.scripted_server import received

from uploader.platforms.ultralytics import ULTRALYTICS

CLIENT = Client(
    connect=connects(ULTRALYTICS),
    ids={"modelId": "m-1", "runId": 7},
    answers=received,
    data_of=lambda request: request.json()["data"],
    file_of=lambda request: request.body if request.method == "PUT" else None,
)
