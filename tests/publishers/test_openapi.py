"""The description of the interface is complete and refers to nothing that is not there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from oracle.publishers import openapi, schemas
from oracle.publishers.rest import Rest

DOCUMENT = openapi.document("1.2.3")


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    found = set(references(DOCUMENT))
    assert found
    assert found <= known


@pytest.mark.parametrize("operation", openapi.OPERATIONS, ids=lambda operation: str(operation.name))
def test_every_operation_is_described_and_handled(operation: openapi.Operation) -> None:
    described = DOCUMENT["paths"][operation.path]["get"]
    assert described["operationId"] == operation.name
    assert operation.model in schemas.MODELS or (not operation.model and operation.texts)
    offered = set(described["responses"]["200"]["content"])
    assert offered == {*(["application/json"] if operation.model else []), *operation.texts}
    assert {"200", "429", "500"} <= set(described["responses"])
    named = {p["name"] for p in described["parameters"] if p["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", operation.path))
    assert callable(getattr(Rest, operation.name))


def test_operation_ids_are_unique_and_the_document_is_json() -> None:
    names = [operation.name for operation in openapi.OPERATIONS]
    assert len(set(names)) == len(names)
    assert json.loads(json.dumps(DOCUMENT))["openapi"] == "3.1.0"


def test_several_problems_may_share_a_status() -> None:
    responses = DOCUMENT["paths"]["/v1/index/{instrument}"]["get"]["responses"]
    assert "unknown_instrument" in responses["404"]["description"]
    assert "wrong_kind" in responses["404"]["description"]
    assert list(responses["404"]["content"]) == ["application/problem+json"]
