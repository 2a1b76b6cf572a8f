"""Every route of the OpenAPI document under requests that nobody would write: no answer is a 5xx."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from service_on_a_port import Served, experiment_text, served, told

#: Streams do not end by themselves; they are asked with `follow=false`.
_STREAMS = "/events"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with a campaign in it, so that there is something to be found."""
    folder = tmp_path_factory.mktemp("store")
    with served(folder / "store", body_bytes=200_000) as running:
        campaign = running.http.post("/campaigns", json={"experiment": experiment_text(folder)}).json()["id"]
        running.http.post(f"/campaigns/{campaign}/ask", json={"count": 3})
        running.http.post(f"/campaigns/{campaign}/trials/1/tell", json=told())
        yield running


def operations(service: Served) -> Iterator[Any]:
    """Each route and method with what generates requests for it."""
    schema: Any = schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json")
    for operation in schema.get_all_operations():
        yield operation.ok()


def fuzz(service: Served, examples: int) -> int:
    """Send so many requests to each route, valid and invalid ones in turn; return how many."""
    sent = 0
    (campaign,) = [row["id"] for row in service.http.get("/campaigns").json()["campaigns"]][-1:]
    for operation in operations(service):
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            strategy = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(strategy)
            def check(case: Any) -> None:
                nonlocal sent
                if "campaign" in case.path_parameters and sent % 2:
                    case.path_parameters["campaign"] = campaign
                    if "trial" in case.path_parameters:
                        case.path_parameters["trial"] = 1 + sent % 3
                if case.path.endswith(_STREAMS):
                    case.query = {**(case.query or {}), "follow": "false"}
                sent += 1
                answer = case.call(timeout=60)
                assert answer.status_code < 500, (case.as_curl_command(), answer.status_code, answer.text)

            with contextlib.suppress(Unsatisfiable):  # nothing about a route without parameters can be wrong
                check()
    return sent


def test_no_request_is_answered_by_a_mistake_of_ours(service: Served) -> None:
    """A few generated requests to each route: whatever comes, the service says what is wrong with it."""
    assert fuzz(service, 1) > 40
    assert httpx.get(f"{service.url}/v1/health").status_code == 200


@pytest.mark.long
def test_many_requests(service: Served) -> None:
    """The same at length."""
    assert fuzz(service, 60) > 1000
    assert Path(service.ledger.where).exists()
    service.ledger.verify()
