"""The dependencies of every handler, and how they are injected."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from lbsync.console.board import Board
from lbsync.console.cluster_watch import ClusterWatch
from lbsync.console.deploying import Deploying
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
EVERYBODY = {"everybody": True}
"""Option of handlers that show a token of some namespaces nothing but these, or what everybody may know."""


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
    deploying: Deploying
    cluster: ClusterWatch

    def is_still_admitted(self, visitor: Visitor) -> bool:
        """Tell whether a client that was admitted still would be, that is, whether its token still exists."""
        return not visitor.token or self.tokens.by_hash(visitor.token) is not None


def state_of(context: Context) -> dict[str, Any]:
    """Return what the application has to know for `context_of`."""
    return {_NAME: context}


def context_of(request: AnyRequest) -> Context:
    """Return the console that answers a request."""
    context: Context = request.app.state[_NAME]
    return context


def visitor_of(request: AnyRequest) -> Visitor:
    """Return the client of a request."""
    visitor: Visitor = request.scope["state"]["visitor"]
    return visitor


def demand(request: AnyRequest, right: Right) -> Visitor:
    """Return the client. Raises `RequestProblem` if the right is missing; `confine` checks the namespace."""
    visitor = visitor_of(request)
    if not visitor.has(right):
        raise RequestProblem(
            Problem(
                403,
                f"This needs a token with the right '{right}'",
                f"Log in with one; 'lbsync token add NAME --right {right}' makes it.",
            )
        )
    return visitor


async def confine(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Limit a token with namespaces to these. Raises `RequestProblem`.

    Runs before every handler, so that none can forget it: a request without a namespace in its path, as `{ns}`,
    concerns the whole fleet, except for handlers that are marked with `EVERYBODY`.
    """
    visitor: Visitor = connection.scope["state"]["visitor"]
    namespace = str(connection.path_params.get("ns", ""))
    if visitor.reaches(namespace) or EVERYBODY.items() <= handler.opt.items():
        return
    if connection.scope["path"] == "/":
        raise RequestProblem(Problem(303, "Your apps", "", location="/apps"))
    what = f"of {namespace[:63]}" if namespace else "of the whole fleet"
    raise RequestProblem(
        Problem(
            403,
            f"This is {what}, which the token {visitor.name} does not open",
            f"It is for {', '.join(visitor.namespaces)}; ask for one that is for more.",
        )
    )


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
