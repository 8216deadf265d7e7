"""The server is as /openapi.json says: requests made from it by schemathesis, valid and broken ones, on every route."""
from collections import Counter
from typing import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (content_type_conformance, response_schema_conformance,
                                               status_code_conformance)

from e2e_harness import MODEL, Server

EXAMPLES = 25  # of each route


@pytest.fixture(scope="module")
def described() -> Iterator[Server]:
    with Server("--no-canonical-prompts") as server:
        yield server


@pytest.fixture
def schema(described):
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{described.port}/openapi.json")


def shortened(body: object) -> object:
    """The same request with short answers: what is tested is the door, not the model's patience."""
    if isinstance(body, dict):
        if list(body) == ["model"] and isinstance(body["model"], str):
            body["model"] = MODEL.name  # to be loaded or unloaded: one that is served
        for name, most in (("max_tokens", 3), ("max_completion_tokens", 3), ("max_output_tokens", 3), ("n", 2),
                           ("min_tokens", 2)):
            if isinstance(body.get(name), int) and body[name] > most:
                body[name] = most
        if isinstance(body.get("timeout"), (int, float)):
            body["timeout"] = max(body["timeout"], 60)  # else 504, as asked for
        if ("messages" in body or "prompt" in body) and not isinstance(body.get("max_completion_tokens"), int):
            body.setdefault("max_tokens", 3)
        if "input" in body:
            body.setdefault("max_output_tokens", 3)
        for name in [name for name in ("prompt", "content", "messages") if name in body][1:]:
            del body[name]  # one says what to tokenize
    return body


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "broken"])
def test_every_route_is_as_described(schema, mode):
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and operation.method in ("get", "delete"):
            continue  # nothing of theirs can be broken

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck))
        def is_as_described(case: schemathesis.Case) -> None:
            case.body = shortened(case.body)
            response = case.call_and_validate(timeout=60, checks=[
                checks.not_a_server_error, status_code_conformance, content_type_conformance,
                response_schema_conformance])
            seen[response.status_code] += 1

        seen = Counter()
        is_as_described()
        if mode is GenerationMode.POSITIVE and not operation.path.endswith("{id}"):
            assert seen[200] > 0, f"{operation.label}: no request that it describes is answered: {seen}"


def test_the_document_names_every_route(described):
    routes = described.get("/v1/capabilities").body["routes"]
    document = described.get("/openapi.json").body
    told = {f"{method.upper()} {path.replace('{id}', '*')}" for path, item in document["paths"].items() for method in item}
    assert told == set(routes)
