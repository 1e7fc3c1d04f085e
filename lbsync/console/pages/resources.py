"""Common to all resources of the API: problem documents and ETags (RFC 9110, 8.8.3)."""

import asyncio
import hashlib
import time
from http import HTTPStatus
from typing import TypeVar

import msgspec
from litestar import Response
from litestar.openapi import ResponseSpec

from lbsync.console.board import Shown
from lbsync.console.context import AnyRequest, context_of
from lbsync.console.facts.deployments import Deployments
from lbsync.console.problem import Document, Problem, RequestProblem
from lbsync.schema.deploying import is_id
from lbsync.schema.keys import ServiceId

T = TypeVar("T")
_CATCH_UP_S = 5.0


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the description of what may be answered instead; 400, 401, 403, 421, 429 and 503 are always possible."""
    return {
        status: ResponseSpec(
            Document,
            generate_examples=False,
            description=HTTPStatus(status).phrase,
            media_type="application/problem+json",
        )
        for status in sorted({400, 401, 403, 421, 429, 503, *statuses})
    }


NOT_CHANGED = {
    304: ResponseSpec(
        None, generate_examples=False, description="It is as `If-None-Match` knows it"
    )
}


def resource(request: AnyRequest, view: T, revision: int = 0) -> Response[T]:
    """Return a view with its ETag, or 304 if the client has it already. `revision`: changes with everything
    that is shown; 0: the tag is computed from the content."""
    tag = etag(revision) if revision else tag_of(view)
    known = [each.strip().removeprefix("W/") for each in
             request.headers.get("if-none-match", "").split(",")]  # fmt: skip
    if tag in known or known == ["*"]:
        return Response(None, status_code=304, headers={"etag": tag})  # type: ignore[arg-type]
    return Response(view, headers={"etag": tag})


def etag(revision: int) -> str:
    """Return the tag of what was written at a revision."""
    return f'"{revision}"'


def tag_of(view: object) -> str:
    """Return the tag of what is shown, made of its content."""
    return f'"{hashlib.blake2b(msgspec.json.encode(view), digest_size=12).hexdigest()}"'


def expected(request: AnyRequest, tag: str) -> None:
    """Raise `RequestProblem` if `If-Match` does not name what is there now. `tag`: of that."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        return
    tags = [each.strip() for each in wanted.split(",")]
    if tag not in tags and tags != ["*"]:
        raise RequestProblem(
            Problem(
                412,
                "It has changed since you read it",
                f"Its ETag is {tag} now: read it again, and decide anew.",
            )
        )


async def deployments_of(request: AnyRequest) -> Deployments:
    """Return what deployers store. Raises `RequestProblem` if it was never read."""
    return there(await context_of(request).board.shown())


async def until_known(request: AnyRequest, app: str, deployment: str) -> None:
    """Wait, for a few seconds at most, until a deployment that is in etcd is shown here, too: who has begun it, here or
    at another console, looks at it before the watch has told of it. Raises `Unavailable`."""
    context = context_of(request)
    board, known = context.board, context.board.deployments()
    if known is None or known.deployment(app, deployment) is not None or not is_id(deployment):
        return
    try:
        name = ServiceId.parse(app)
    except ValueError:
        return
    if not await asyncio.to_thread(context.deploying.revision, name, deployment):
        return
    deadline = time.monotonic() + _CATCH_UP_S
    while (left := deadline - time.monotonic()) > 0:
        since, known = board.news_count, board.deployments()
        if known is not None and known.deployment(app, deployment) is not None:
            return
        await board.wait(since, left, at_once=True)


def there(shown: Shown) -> Deployments:
    """Return what deployers keep. Raises `RequestProblem` if it was never read."""
    if shown.deployments is None:
        raise RequestProblem(
            Problem(503, "Deployments cannot be read", shown.no_deployments, retry_after=5)
        )
    return shown.deployments


def no_app(name: str) -> RequestProblem:
    """Return the problem of an unknown app."""
    detail = f"No deployer and no balancer has heard of {name[:140]!r}."
    return RequestProblem(Problem(404, "No such app", detail))


def no_deployment(name: str, deployment: str) -> RequestProblem:
    """Return the problem of an unknown deployment."""
    hint = "" if is_id(deployment) else " An id looks like 20260131-120000-4f2a9c."
    detail = f"{name[:140]} has no deployment {deployment[:40]!r}.{hint}"
    return RequestProblem(Problem(404, "No such deployment", detail))
