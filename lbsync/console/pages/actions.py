"""Actions for tokens with the right `admin`: first a page that explains the action, then the action."""

import asyncio

from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from lbsync import log
from lbsync.console.context import AnyRequest, context_of, demand
from lbsync.console.facts.state import Hold
from lbsync.console.pages.resources import problems
from lbsync.console.problem import Problem, RequestProblem
from lbsync.console.rendering import Rendered
from lbsync.values.plural import count

_SHOWN = 50


@get("/confirm/{hold_id:str}", media_type=MediaType.HTML, include_in_schema=False)
async def ask_confirm(request: AnyRequest, hold_id: FromPath[str]) -> Response[bytes]:
    """Show what would go."""
    visitor = demand(request, "admin")
    hold = await _hold(request, hold_id)
    context = context_of(request)
    html = context.renderer.plain("confirm.html.j2", hold=hold, shown=_SHOWN)
    page = context.renderer.page("Confirm a removal", Rendered(html, ""), visitor, "/confirm")
    return Response(page, media_type=MediaType.HTML)


@post("/confirm/{hold_id:str}", include_in_schema=False, status_code=303)
async def confirm(request: AnyRequest, hold_id: FromPath[str]) -> Redirect:
    """Let it go."""
    await _confirm(request, hold_id)
    return Redirect("/?done=confirm", status_code=303)


@post(
    "/holds/{hold_id:str}/confirm",
    summary="Confirm a held removal",
    responses=problems(404, 409, 413, 422, 500),
    status_code=202,
)
async def confirm_by_program(request: AnyRequest, hold_id: FromPath[str]) -> Hold:
    """Let a held removal go through; who holds it does so as soon as it reads this."""
    return await _confirm(request, hold_id)


async def _confirm(request: AnyRequest, hold_id: str) -> Hold:
    visitor = demand(request, "admin")
    hold = await _hold(request, hold_id)
    context = context_of(request)
    await asyncio.to_thread(context.operations.confirm, hold, str(visitor))
    context.board.skip_pause()
    log.get().info(
        f"a removal from {count(len(hold.services), 'service')} is confirmed",
        hold=hold.id,
        by=str(visitor),
    )
    return hold


async def _hold(request: AnyRequest, hold_id: str) -> Hold:
    state = (await context_of(request).board.shown()).state
    hold = state.holds.get(hold_id)
    if hold is None:
        raise RequestProblem(
            Problem(
                404,
                "Nobody holds this removal",
                "It was confirmed already, or the servers are back.",
            )
        )
    return hold


PAGES = [ask_confirm, confirm]
API = [confirm_by_program]
