"""The API keeps what its OpenAPI document says, whatever it is sent."""

import itertools
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lbsync.console import app
from tests.console_client import ConsoleClient, a_deployment, a_fleet

CHECKS = [
    schemathesis.checks.not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
_EXAMPLES = 6
"""For each operation."""


class FromManyAddresses:
    """Asks from another address each time: how much one may ask is a test of its own."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._numbers = inner, itertools.count()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        number = next(self._numbers)
        scope["client"] = f"10.0.{number // 250}.{number % 250}", 1
        await self._inner(scope, receive, send)


@pytest.mark.filterwarnings("ignore")  # of the tool's own making
def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    fleet = {f"/lbsync/{key}": value for key, value in a_fleet().items() if "agents" not in key}
    console = ConsoleClient(
        tmp_path,
        a_fleet(),
        {"servers/one": {"holder": "x", "deployment": ""}} | a_deployment() | fleet,
    )
    headers = {"authorization": f"Bearer {console.tokens.add('ci', 'admin')}", "host": "localhost"}
    schema = schemathesis.openapi.from_asgi(
        "/api/schema/openapi.json", FromManyAddresses(app.make(console.context)), headers=headers
    )
    asked = 0
    for found in schema.exclude(path_regex="^/api/schema").get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=_EXAMPLES, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.validate_response(case.call(headers=headers), checks=CHECKS)

        check()
    assert asked > 100
