"""The API to start and control deployments."""

import asyncio
from typing import get_args

import msgspec
from litestar import Response, delete, post
from litestar.params import FromPath

from lbsync import log
from lbsync.console.context import AnyRequest, context_of, demand
from lbsync.console.deploying import Asked, Deploying, DeployOrder, Outcome
from lbsync.console.facts.apps import app_view
from lbsync.console.pages.bodies import json_body, read_body, takes
from lbsync.console.pages.resources import etag, expected, no_app, problems, tag_of, there
from lbsync.console.problem import Problem, RequestProblem
from lbsync.deployer.commands import Command
from lbsync.schema.keys import ServiceId

MOST_DOCUMENT = 1 << 20
"""Bytes of an app's document, and of what registries send."""
COMMANDS: tuple[Command, ...] = get_args(Command)
_MOST_KEY = 255


class Begun(msgspec.Struct, frozen=True):
    """What became of a request to deploy."""

    app: str
    deployment: str
    """Id of the deployment; empty: nothing had to be done, or it was a dry run."""
    action: str
    """What is done, or would be: `deploy`, `switch`, `rollback`, `remove` or a command; empty: nothing."""
    said: str
    """The same in a few words."""
    warnings: tuple[str, ...]
    """What is wrong with the app, and hinders nobody."""
    is_repeat: bool
    """It was begun by an earlier request with the same `Idempotency-Key`."""


TakesOrder = takes(DeployOrder)


@post(
    "/apps/{ns:str}/{name:str}/deployments",
    summary="Deploy",
    status_code=202,
    operation_class=TakesOrder,
    request_max_body_size=MOST_DOCUMENT,
    responses=problems(404, 409, 413, 415, 422, 500),
)
async def deploy(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Response[Begun]:
    """Begin a deployment: of a group of plain servers, of a document or an image on Kubernetes, or of the version of
    an earlier deployment. With a header `Idempotency-Key` the same request may come again for a day: one is begun."""
    visitor, app = demand(request, "deploy"), app_of(ns, name)
    doing = deploying_of(request)
    body = await json_body(request)
    order = read_order(body)
    if order.dry_run:
        _, planned = await asyncio.to_thread(doing.plan, app, order, str(visitor))
        action = planned.record.action if planned is not None else ""
        told = planned.told if planned is not None else NOTHING
        warnings = planned.warnings if planned is not None else ()
        return Response(Begun(str(app), "", action, told, warnings, False), status_code=200)
    asked = Asked(str(visitor), key_of(request, visitor.name), body)
    outcome = await asyncio.to_thread(doing.begin, app, order, asked)
    return begun(app, outcome, "switch" if isinstance(order.group, str) else "deploy")


@post(
    "/apps/{ns:str}/{name:str}/rollback",
    summary="Back to the version before",
    status_code=202,
    responses=problems(404, 409, 422, 500),
)
async def back(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Response[Begun]:
    """Turn round what is in progress; where nothing is, begin a deployment of the version before."""
    visitor, app = demand(request, "deploy"), app_of(ns, name)
    asked = Asked(str(visitor), key_of(request, visitor.name), b"rollback")
    outcome = await asyncio.to_thread(deploying_of(request).back, app, asked)
    return begun(app, outcome, "rollback")


@delete(
    "/apps/{ns:str}/{name:str}",
    summary="Take an app away",
    status_code=202,
    responses=problems(404, 409, 412, 422, 500),
)
async def remove(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Response[Begun]:
    """Start to remove an app from Kubernetes: first its traffic, then its pods; needs the right `admin`. The
    removal is a deployment of its own kind, which can be followed, and cancelled until its pods are deleted.
    If a removal is in progress already, it is returned. With `If-Match`, only if the app has not changed
    since it was read."""
    app = app_of(ns, name)
    return begun(app, await order_removal(request, app), "remove")


async def order_removal(request: AnyRequest, app: ServiceId) -> Outcome:
    """Begin to take an app away. Raises `RequestProblem`, `LbsyncError`."""
    visitor, doing = demand(request, "admin"), deploying_of(request)
    asked = Asked(str(visitor), key_of(request, visitor.name), b"remove")
    if "if-match" in request.headers and not await asyncio.to_thread(doing.known, app, asked):
        shown = await context_of(request).board.shown()
        found = app_view(shown.index, there(shown), str(app))
        if found is None:
            raise no_app(str(app))
        expected(request, tag_of(found))
    outcome = await asyncio.to_thread(doing.remove, app, asked)
    log.get().info(f"{app}: it is taken away", deployment=outcome.deployment, by=str(visitor))
    return outcome


@post(
    "/deployments/{ns:str}/{name:str}/{deployment:str}/{command:str}",
    summary="Pause, resume, promote, cancel, roll back or abandon a deployment",
    status_code=202,
    responses=problems(404, 409, 412, 422, 500),
)
async def command(
    request: AnyRequest,
    ns: FromPath[str],
    name: FromPath[str],
    deployment: FromPath[str],
    command: FromPath[str],
) -> Response[Begun]:
    """Say what is to become of a deployment that is in progress. `command` is `pause`, `resume`, `promote`, `cancel`,
    `rollback` or, on the way back, `abandon`. With `If-Match` only if it has not changed since it was read."""
    app = app_of(ns, name)
    return begun(app, await order_command(request, app, deployment, command), command)


async def order_command(
    request: AnyRequest, app: ServiceId, deployment: str, command: str
) -> Outcome:
    """Write what is to become of a deployment. Raises `RequestProblem`, `LbsyncError`."""
    visitor = demand(request, "deploy")
    what = command_named(command)
    doing = deploying_of(request)
    body = f"{what} {deployment}".encode()
    asked = Asked(str(visitor), key_of(request, visitor.name), body)
    revision = 0
    if "if-match" in request.headers and not await asyncio.to_thread(doing.known, app, asked):
        revision = await asyncio.to_thread(doing.revision, app, deployment)
        expected(request, etag(revision))
    outcome = await asyncio.to_thread(
        doing.command, app, deployment, what, asked, revision=revision
    )
    log.get().info(f"{app}: {command}", deployment=deployment, by=str(visitor))
    return outcome


def begun(app: ServiceId, outcome: Outcome, action: str) -> Response[Begun]:
    """Return what became of a request."""
    told = f"{action} of {app}" if outcome.deployment else NOTHING
    view = Begun(
        str(app), outcome.deployment, action if outcome.deployment else "", told,
        outcome.warnings, outcome.is_repeat,
    )  # fmt: skip
    if not outcome.deployment:
        return Response(view, status_code=200)
    if action in ("deploy", "switch") and not outcome.is_repeat:
        log.get().info(f"{app}: {action} begins", deployment=outcome.deployment)
    place = f"/api/deployments/{app}/{outcome.deployment}"
    return Response(view, status_code=202, headers={"location": place})


NOTHING = "it has all the traffic already"


def deploying_of(request: AnyRequest) -> Deploying:
    """Return what begins deployments."""
    return context_of(request).deploying


def command_named(name: str) -> Command:
    """Return a command. Raises `RequestProblem` if there is none of this name."""
    for known in COMMANDS:
        if known == name:
            return known
    raise RequestProblem(Problem(404, "No such command", f"There are {', '.join(COMMANDS)}."))


def app_of(ns: str, name: str) -> ServiceId:
    """Return the app that a path names. Raises `RequestProblem`."""
    try:
        return ServiceId.parse(f"{ns}/{name}")
    except ValueError as error:
        raise RequestProblem(Problem(404, "No such app", str(error))) from error


def read_order(body: bytes) -> DeployOrder:
    """Return what is to be deployed. Raises `Rejected`, which names the field and how to correct it."""
    return read_body(DeployOrder, body)


def key_of(request: AnyRequest, client: str) -> str:
    """Return by what a request is known when it comes again; empty: by nothing. Raises `RequestProblem`."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return ""
    if not 0 < len(key) <= _MOST_KEY or not key.isprintable():
        raise RequestProblem(
            Problem(
                400,
                "The idempotency key does not do",
                f"Send 1 to {_MOST_KEY} printable characters.",
            )
        )
    return f"{client} {key}"


HANDLERS = [deploy, back, remove, command]
