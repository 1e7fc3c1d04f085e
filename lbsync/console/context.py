"""What every handler works with, and how it gets hold of it."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request

from lbsync.console.board import Board
from lbsync.console.health_watch import HealthWatch
from lbsync.console.operations import Operations
from lbsync.console.problem import Problem, RequestProblem
from lbsync.console.rendering import Renderer
from lbsync.console.security.gate import Visitor
from lbsync.console.security.limits import Places
from lbsync.console.security.sessions import Sessions
from lbsync.console.security.tokens import Right, Tokens
from lbsync.settings import Console

AnyRequest = Request[Any, Any, Any]
MOST_BODY = 16_384
"""Bytes of a request's body."""
_MOST_FIELDS = 20
_NAME = "console"


class Context(msgspec.Struct, frozen=True, eq=False):
    """The parts of one console."""

    settings: Console
    board: Board
    renderer: Renderer
    tokens: Tokens
    sessions: Sessions
    operations: Operations
    streams: Places
    health: HealthWatch

    def is_welcome(self, visitor: Visitor) -> bool:
        """Tell whether somebody who was let in still would be: his token is there."""
        return not visitor.token or self.tokens.by_hash(visitor.token) is not None


def state_of(context: Context) -> dict[str, Any]:
    """Return what the application has to know for `context_of`."""
    return {_NAME: context}


def context_of(request: AnyRequest) -> Context:
    """Return the console that answers a request."""
    context: Context = request.app.state[_NAME]
    return context


def visitor_of(request: AnyRequest) -> Visitor:
    """Return who asks."""
    visitor: Visitor = request.scope["state"]["visitor"]
    return visitor


def demand(request: AnyRequest, right: Right) -> Visitor:
    """Return who asks. Raises `RequestProblem` where the right is missing."""
    visitor = visitor_of(request)
    if not visitor.may(right):
        raise RequestProblem(
            Problem(
                403,
                f"This needs a token with the right '{right}'",
                f"Log in with one; 'lbsync console token add NAME --right {right}' makes it.",
            )
        )
    return visitor


async def form_of(request: AnyRequest) -> dict[str, str]:
    """Return the fields of a form. Raises `RequestProblem` for what is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RequestProblem(
            Problem(415, "This is no form", "Send application/x-www-form-urlencoded.")
        )
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise RequestProblem(Problem(400, "The form cannot be read", str(error))) from error
    return dict(pairs)
