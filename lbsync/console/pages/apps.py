"""The API for apps and deployments: read them, or follow them event by event."""

import asyncio
import time
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.params import FromPath, QueryParameter
from litestar.types import Send

from lbsync.console.context import (
    EVERYBODY,
    AnyRequest,
    Context,
    context_of,
    visitor_of,
)
from lbsync.console.facts.apps import AppsView, AppView, app_view, apps_view
from lbsync.console.facts.deployment import (
    DeploymentView,
    EventsView,
    deployment_view,
    event_view,
    events_view,
)
from lbsync.console.facts.deployments import DeploymentsView, named
from lbsync.console.pages.resources import (
    NOT_CHANGED,
    deployments_of,
    no_app,
    no_deployment,
    problems,
    resource,
    there,
    until_known,
)
from lbsync.console.pages.streams import HEARTBEAT, LONGEST_S, event, news, streamed, tell
from lbsync.console.security.gate import Visitor

_WHOLE = 2**31
_EVENTS_A_DEPLOYMENT = 10**6
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="So many at most.")]
After = Annotated[
    str,
    QueryParameter(
        pattern=r"^([0-9]{8}-[0-9]{6}-[0-9a-f]{6} [a-z0-9.-]{1,63}/[a-z0-9.-]{1,63})?$",
        description="`next` of the page before.",
    ),
]


@get("/apps", summary="Apps", opt=EVERYBODY, responses=problems() | NOT_CHANGED)
async def apps(
    request: AnyRequest,
    q: Annotated[str, QueryParameter(max_length=200, description="Words in the name.")] = "",
    page: Annotated[int, QueryParameter(ge=1, le=_WHOLE)] = 1,
    per: Limit = 100,
) -> Response[AppsView]:
    """Return the apps that were ever deployed or switched, as far as the token opens them."""
    shown = await context_of(request).board.shown()
    known = there(shown)
    found = apps_view(shown.index, known, q, page, per, namespaces=visitor_of(request).namespaces)
    return resource(request, found)


@get("/apps/{ns:str}/{name:str}", summary="One app", responses=problems(404) | NOT_CHANGED)
async def app(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Response[AppView]:
    """Return what is live of an app, what is kept, and its last deployments."""
    shown = await context_of(request).board.shown()
    found = app_view(shown.index, there(shown), f"{ns}/{name}")
    if found is None:
        raise no_app(f"{ns}/{name}")
    return resource(request, found)


@get("/deployments", summary="Deployments", opt=EVERYBODY, responses=problems() | NOT_CHANGED)
async def deployments(
    request: AnyRequest, after: After = "", limit: Limit = 100
) -> Response[DeploymentsView]:
    """Return the deployments of all apps that the token opens, the newest first."""
    known = await deployments_of(request)
    names = named(known.names, visitor_of(request).namespaces)
    return resource(request, known.history(names, after, limit))


@get(
    "/apps/{ns:str}/{name:str}/deployments",
    summary="Deployments of one app",
    responses=problems(404) | NOT_CHANGED,
)
async def deployments_of_app(
    request: AnyRequest,
    ns: FromPath[str],
    name: FromPath[str],
    after: After = "",
    limit: Limit = 100,
) -> Response[DeploymentsView]:
    """Return the deployments of an app, the newest first."""
    shown = await context_of(request).board.shown()
    known = there(shown)
    if f"{ns}/{name}" not in known.names and f"{ns}/{name}" not in shown.index:
        raise no_app(f"{ns}/{name}")
    return resource(request, known.history([f"{ns}/{name}"], after, limit))


@get(
    "/deployments/{ns:str}/{name:str}/{deployment:str}",
    summary="One deployment",
    responses=problems(404) | NOT_CHANGED,
)
async def deployment(
    request: AnyRequest, ns: FromPath[str], name: FromPath[str], deployment: FromPath[str]
) -> Response[DeploymentView]:
    """Return how far a deployment is. Its ETag can be given as `If-Match` with what is asked of it."""
    await until_known(request, f"{ns}/{name}", deployment)
    known = await deployments_of(request)
    found = deployment_view(known, f"{ns}/{name}", deployment)
    if found is None:
        raise no_deployment(f"{ns}/{name}", deployment)
    return resource(request, found, found.revision)


@get(
    "/deployments/{ns:str}/{name:str}/{deployment:str}/events",
    summary="Events of one deployment",
    responses=problems(404) | NOT_CHANGED,
)
async def events(
    request: AnyRequest,
    ns: FromPath[str],
    name: FromPath[str],
    deployment: FromPath[str],
    *,
    after: Annotated[
        int,
        QueryParameter(ge=-1, le=_EVENTS_A_DEPLOYMENT, description="The number of one event."),
    ] = -1,
    limit: Limit = 500,
) -> Response[EventsView]:
    """Return the events after a given one. With `Accept: text/event-stream` they are sent as they happen, each
    as an event `event` with its number as ID, so that a client that reconnects receives the remaining ones;
    `end` is the last."""
    name = f"{ns}/{name}"
    await until_known(request, name, deployment)
    context, known = context_of(request), await deployments_of(request)
    found = events_view(known, name, deployment, after, limit)
    if found is None:
        raise no_deployment(name, deployment)
    if "text/event-stream" in request.headers.get("accept", ""):
        followed = _Followed(context, name, deployment, visitor_of(request))
        known_to = _number(request.headers.get("last-event-id", ""), after)
        return streamed(context, lambda send, gone: followed.follow(known_to, send, gone))  # type: ignore[return-value]
    return resource(request, found)


class _Followed(msgspec.Struct, frozen=True, eq=False):
    """One deployment that a client follows."""

    context: Context
    app: str
    deployment: str
    visitor: Visitor

    async def follow(self, after: int, send: Send, gone: asyncio.Task[None]) -> None:
        """Send events as they happen, until the deployment ends, or the client disconnects or must reconnect."""
        board, ends = self.context.board, time.monotonic() + LONGEST_S
        while time.monotonic() < ends and self.context.is_still_admitted(self.visitor):
            # Before it is looked at: what comes meanwhile is news again.
            since, known = board.news_count, board.deployments()
            record = known.deployment(self.app, self.deployment) if known is not None else None
            if known is None or record is None:
                await tell(send, event("end", "it was removed", str(after)))
                return
            for number, each in known.events(self.app, self.deployment, after):
                text = msgspec.json.encode(event_view(number, each)).decode()
                await tell(send, event("event", text, str(number)))
                after = number
            if record.is_ended:
                await tell(send, event("end", record.phase, str(after)))
                return
            await tell(send, HEARTBEAT)
            if not await news(board, since, gone, at_once=True):
                return


def _number(text: str, default: int) -> int:
    """Return the number of the last event that a client knows."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else default


HANDLERS = [apps, app, deployments, deployments_of_app, deployment, events]
