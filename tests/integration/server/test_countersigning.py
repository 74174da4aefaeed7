"""Countersigning at the local platform: what a client tells of its run's key may be anything, and fails no request."""

from __future__ import annotations

from typing import Any

import pytest
from support.platform_api import Api
from support.proofs import FIRST, RUN, SECOND, SIGNERS, request, tree

from uploader.proof.signers import Signers
from uploader.proof.trees import SessionTree

pytest.importorskip("cryptography")

HALF_A_PAIR = "\ud800"  # JSON can carry it, UTF-8 cannot


def told(api: Api, name: str, key: Any, head: Any) -> None:
    """Have a model of the run tell a key and keep a head."""
    api.start(name, environment={"uploaderRun": RUN, "uploaderProofKey": key})
    kept = {"metadata": {"offlineUploader": {"head": head}}}
    assert api.request("PATCH", f"/api/models/local/demo/{name}", json=kept).ok


def countersigned(api: Api) -> int:
    return api.request("POST", "/api/proof/add-checkpoint", data=request(tree(3))).status_code


@pytest.mark.parametrize("odd", [HALF_A_PAIR, 7, [], {"a": 1}])
def test_what_is_no_key_and_no_head_announces_nothing_and_hides_no_other(api: Api, odd: Any) -> None:
    told(api, "odd", odd, odd)
    assert countersigned(api) == 404  # no training has announced a key
    told(api, "plain", str(SIGNERS.key), odd)
    assert countersigned(api) == 200


@pytest.mark.parametrize("arriving", [(0, 1), (1, 0)], ids=["in turn", "the later session first"])
def test_each_session_of_a_run_has_the_key_of_the_machine_that_trained_it(api: Api, arriving: tuple[int, int]) -> None:
    machines = [SIGNERS, Signers([bytes([9] * 32)])]
    named = [{"uuid": FIRST, "generation": 1}, {"uuid": SECOND, "generation": 2, "ancestors": [FIRST]}]
    known: dict[str, Any] = {}
    for number in arriving:
        told = {"uploaderRun": RUN, "uploaderSession": named[number], "uploaderProofKey": str(machines[number].key)}
        target = known or {"project": "demo", "name": "train"}
        answer = api.event("training_started", {"environment": told}, **target)
        known = {"modelId": answer["modelId"]} if arriving == (0, 1) else {}
    for session, signers in zip((FIRST, SECOND), machines, strict=True):
        made = SessionTree(RUN, session, 1)
        made.add(1, "epoch_end", "0", b"{}", None)
        assert api.request("POST", "/api/proof/add-checkpoint", data=request(made, signers=signers)).status_code == 200
