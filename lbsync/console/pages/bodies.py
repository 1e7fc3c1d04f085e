"""JSON bodies of requests, read by lbsync's own decoder: its errors name the field and how to correct it."""

from dataclasses import dataclass
from typing import Any, TypeVar

from litestar.enums import MediaType
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody

from lbsync.console.context import AnyRequest
from lbsync.console.pages.described import described
from lbsync.console.problem import Problem, RequestProblem
from lbsync.errors import BadKey, Rejected
from lbsync.model.record import Record
from lbsync.schema.decode import decode_as

R = TypeVar("R", bound=Record)


def takes(kind: type[Record], *, required: bool = True) -> type[Operation]:
    """Return an operation that says in the API's description what its body is, as Litestar cannot see it."""
    media: Any = OpenAPIMediaType(schema=described(kind))  # type: ignore[arg-type]

    @dataclass
    class TakesBody(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(content={MediaType.JSON: media}, required=required)

    return TakesBody


async def json_body(request: AnyRequest) -> bytes:
    """Return a JSON body. Raises `RequestProblem` if it has another content type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise RequestProblem(Problem(415, "This is no JSON", "Send application/json."))
    return await request.body()


def read_body(kind: type[R], body: bytes) -> R:
    """Return what a body says. Raises `Rejected`, which names the field and how to correct it."""
    try:
        return decode_as(kind, "the body", body)
    except BadKey as error:
        raise Rejected(str(error)) from error
