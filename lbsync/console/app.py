"""The application: pages, API and files, behind the gate."""

from collections.abc import Mapping
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

import lbsync
from lbsync import log
from lbsync.console.context import EVERYBODY, MOST_BODY, Context, confine, state_of
from lbsync.console.pages import (
    actions,
    answers,
    api,
    apps,
    deploy_forms,
    deploying,
    files,
    hooks,
    login,
    orders,
)
from lbsync.console.problem import Problem, RequestProblem, document, of_error
from lbsync.console.security.gate import App, Gate, Scope, Visitor
from lbsync.errors import LbsyncError

API = "/api"
_PAGE = "text/html; charset=utf-8"
_PROBLEM = "application/problem+json"
_TITLES = {
    400: "This cannot be read",
    404: "There is nothing here",
    405: "Not this way",
    413: "Too much",
}
Lines = list[tuple[bytes, bytes]]


def make(context: Context) -> App:
    """Return the whole application, to be served."""
    return gated(handlers(context), context)


def gated(app: Litestar, context: Context) -> App:
    """Return what answers behind the gate, with the gate before it."""

    async def answer(scope: Scope, problem: Problem) -> tuple[int, Lines, bytes]:
        return _answer(context, scope, problem, None)

    return Gate(app, context.settings, context.tokens, context.sessions, answer)


def handlers(context: Context) -> Litestar:
    """Return what answers behind the gate."""
    return Litestar(
        [
            *answers.handlers(),
            *actions.PAGES,
            *orders.PAGES,
            *deploy_forms.PAGES,
            login.ask,
            login.log_in,
            login.log_out,
            files.static,
            files.healthz,
            hooks.hook,
            Router(
                API,
                route_handlers=[
                    *api.HANDLERS,
                    *apps.HANDLERS,
                    *deploying.HANDLERS,
                    *actions.API,
                    *orders.API,
                ],
            ),
        ],
        guards=[confine],
        state=State(state_of(context)),
        exception_handlers={Exception: _on_error},
        openapi_config=_openapi(),
        request_max_body_size=MOST_BODY,
        logging_config=None,
    )


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="'lbsync token add'")
    return OpenAPIConfig(
        title="lbsync console",
        version=lbsync.__version__,
        description="What etcd says of all balancers, services and publishers; docs/console.md.",
        components=Components(security_schemes={"token": bearer}),
        security=[{"token": []}],
        openapi_router=Router(f"{API}/schema", route_handlers=[], opt=EVERYBODY),
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
    )


def _on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer with what went wrong."""
    problem = _problem(error)
    if problem.status == 500:
        log.get().error("this is a fault of lbsync, please report it",
                        path=request.scope["path"], exc_info=error)  # fmt: skip
    context: Context = request.app.state["console"]
    visitor = request.scope.get("state", {}).get("visitor")
    status, lines, body = _answer(context, request.scope, problem, visitor)
    headers = {name.decode(): value.decode() for name, value in lines}
    return Response(
        body,
        status_code=status,
        media_type=headers.pop("content-type").partition(";")[0],
        headers=headers,
    )


def _problem(error: Exception) -> Problem:
    if isinstance(error, RequestProblem):
        return error.problem
    if isinstance(error, LbsyncError):
        return of_error(error)
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        told = "; ".join(
            f"{e.get('key')}: {e.get('message')}" for e in extra if isinstance(e, dict)
        )
        return Problem(400, "This cannot be read", told or error.detail)
    if isinstance(error, HTTPException):
        title = _TITLES.get(error.status_code, "It failed")
        return Problem(error.status_code, title, error.detail if error.status_code != 404 else "")
    return Problem(500, "This is a fault of lbsync", "Its log tells more; please report it.")


def _answer(
    context: Context, scope: Mapping[str, Any], problem: Problem, visitor: Visitor | None
) -> tuple[int, Lines, bytes]:
    """Return status, headers and body: a page for people, a problem document for programs."""
    lines: Lines = []
    if problem.location:
        lines.append((b"location", problem.location.encode()))
    if problem.retry_after:
        lines.append((b"retry-after", str(max(1, round(problem.retry_after))).encode()))
    if problem.status == 401:
        lines.append((b"www-authenticate", b'Bearer realm="lbsync"'))
    path = scope["path"]
    if _wants_page(scope):
        body = context.renderer.problem(problem, visitor, path)
        return problem.status, [(b"content-type", _PAGE.encode()), *lines], body
    body = document(problem, path)
    return problem.status, [(b"content-type", _PROBLEM.encode()), *lines], body


def _wants_page(scope: Mapping[str, Any]) -> bool:
    accept = next((v for n, v in scope["headers"] if n.lower() == b"accept"), b"")
    return not scope["path"].startswith((f"{API}/", "/live/")) and b"text/html" in accept
