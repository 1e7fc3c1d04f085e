"""Orders to one balancer: first a page that explains the order, then the order."""

import asyncio

import msgspec
from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from lbsync import log
from lbsync.console.context import AnyRequest, context_of, demand, form_of
from lbsync.console.facts.hosts import HostView, host_view
from lbsync.console.pages.bodies import json_body, read_body, takes
from lbsync.console.pages.resources import problems
from lbsync.console.problem import Problem, RequestProblem
from lbsync.console.rendering import Rendered
from lbsync.model.orders import Action
from lbsync.model.record import Record
from lbsync.schema.reading import one_line

_MOST_REASON = 200


class Prompt(msgspec.Struct, frozen=True):
    """What the page says before an order is given."""

    action: Action
    button: str
    says: str
    asks_reason: bool = False
    is_dangerous: bool = False


PROMPTS = {
    prompt.action: prompt
    for prompt in (
        Prompt(
            "drain",
            "Drain",
            "Its health path answers 503, so the load balancer in front sends no new clients; everybody who comes "
            "all the same is served as before. It lasts over restarts, until it is undrained.",
            asks_reason=True,
            is_dangerous=True,
        ),
        Prompt("undrain", "Undrain", "Its health path answers 200 again."),
        Prompt(
            "release",
            "Release",
            "What somebody set by hand on its running HAProxy (weights, states, addresses) is made again as it is "
            "written.",
            is_dangerous=True,
        ),
        Prompt(
            "rollback",
            "Roll back",
            "It serves the generation that it served before, and stays with it, whatever etcd says and over restarts, "
            "until it is told to follow etcd again. Where that would take most of its servers, it refuses.",
            is_dangerous=True,
        ),
        Prompt(
            "rollback-release",
            "Follow etcd again",
            "Its rollback ends: it serves what is written in etcd.",
            is_dangerous=True,
        ),
    )
}


class Order(Record, frozen=True):
    """What a program sends with an order."""

    reason: str = ""
    generation: str = ""
    """Of a rollback: the digest of the generation to serve, or how that begins."""


@get("/hosts/{host:str}/{action:str}", media_type=MediaType.HTML, include_in_schema=False)
async def ask_order(
    request: AnyRequest, host: FromPath[str], action: FromPath[str]
) -> Response[bytes]:
    """Say what would be done."""
    visitor = demand(request, "admin")
    view, prompt = await _live(request, host), _prompt(action)
    if prompt.action == "rollback":
        _earlier(view)
    renderer = context_of(request).renderer
    html = renderer.plain("order.html.j2", host=host, prompt=prompt, it=view)
    page = renderer.page(f"{action} {host}", Rendered(html, ""), visitor, "/hosts/")
    return Response(page, media_type=MediaType.HTML)


@post("/hosts/{host:str}/{action:str}", include_in_schema=False, status_code=303)
async def order(request: AnyRequest, host: FromPath[str], action: FromPath[str]) -> Redirect:
    """Do it, and lead back to the host."""
    form = await form_of(request)
    await _order(request, host, action, form.get("reason", ""), form.get("generation", ""))
    return Redirect(f"/hosts/{host}?done={action}", status_code=303)


@post(
    "/hosts/{host:str}/{action:str}",
    summary="Drain, undrain, release or roll back a balancer",
    responses=problems(404, 409, 413, 415, 422, 500, 504),
    status_code=200,
    operation_class=takes(Order, required=False),
)
async def order_by_program(
    request: AnyRequest,
    host: FromPath[str],
    action: FromPath[str],
) -> HostView:
    """Order an action, and answer when the balancer has confirmed it. `action` is `drain`, `undrain`,
    `release`, `rollback` (to what it served before, or to `generation`) or `rollback-release`."""
    has_body = await request.body()
    said = read_body(Order, await json_body(request)) if has_body else Order()
    await _order(request, host, action, said.reason, said.generation)
    return await _live(request, host)


async def _order(request: AnyRequest, host: str, action: str, reason: str, generation: str) -> None:
    visitor = demand(request, "admin")
    prompt = _prompt(action)
    view = await _live(request, host)
    generation = (generation or _earlier(view)) if prompt.action == "rollback" else ""
    reason = one_line(reason.strip(), _MOST_REASON) or "by hand"
    context = context_of(request)
    said = reason if prompt.asks_reason else ""
    log.get().info(
        f"{host} is ordered: {action}", by=str(visitor), reason=said, generation=generation
    )
    why = await asyncio.to_thread(
        context.operations.order, prompt.action, host, str(visitor), said, generation
    )
    context.board.skip_pause()
    if why:
        raise RequestProblem(
            Problem(504, f"{host} has not done it", f"{why}. The order is taken back.")
        )


def _earlier(view: HostView) -> str:
    """Return what the balancer served before."""
    if view.earlier is None:
        raise RequestProblem(
            Problem(
                404, "Nothing to go back to", f"{view.host} has kept nothing that it served before."
            )
        )
    return view.earlier.digest


def _prompt(action: str) -> Prompt:
    for prompt in PROMPTS.values():
        if prompt.action == action:
            return prompt
    raise RequestProblem(Problem(404, "No such order", f"There are {', '.join(PROMPTS)}."))


async def _live(request: AnyRequest, host: str) -> HostView:
    found = host_view((await context_of(request).board.shown()).state, host)
    if found is None or not found.is_live:
        raise RequestProblem(
            Problem(
                404,
                "No such balancer",
                f"No agent reports as {host[:80]!r}, so nobody would do it.",
            )
        )
    return found


PAGES = [ask_order, order]
API = [order_by_program]
