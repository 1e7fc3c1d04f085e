"""Pages and their live updates: the same content, sent as a whole or as a stream of events."""

import asyncio
import time
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import BaseRouteHandler
from litestar.types import Send

from lbsync.console.context import EVERYBODY, AnyRequest, Context, context_of, visitor_of
from lbsync.console.health_watch import EVERYTHING
from lbsync.console.pages.resources import until_known
from lbsync.console.pages.streams import HEARTBEAT, LONGEST_S, event, news, streamed, tell
from lbsync.console.pages.table import PAGES, Page, Question
from lbsync.console.problem import RequestProblem
from lbsync.console.rendering import Rendered
from lbsync.console.security.gate import Visitor
from lbsync.errors import Unavailable

_SINCE = "since"
"""What the first request of a stream knows already; later ones say it in `Last-Event-ID`."""
_BY_TIME_S = 15


def handlers() -> list[BaseRouteHandler]:
    """Return what answers for all pages."""
    found: list[BaseRouteHandler] = []
    for page in PAGES:
        found += [_whole(page), _live(page)]
    return found


class _Asked(msgspec.Struct, frozen=True, eq=False):
    """One page as one visitor asks for it."""

    context: Context
    page: Page
    parts: dict[str, str]
    query: dict[str, str]
    visitor: Visitor

    @classmethod
    def of(cls, page: Page, request: AnyRequest) -> "_Asked":
        """Read a request."""
        parts = {name: str(part) for name, part in request.path_params.items()}
        query = dict(request.query_params.items())
        query.pop(_SINCE, None)
        return cls(context_of(request), page, parts, query, visitor_of(request))

    async def content(self) -> Rendered:
        """Return the part of the page that changes. Raises `RequestProblem`, and `Unavailable`."""
        now = time.time()
        cluster = self.context.cluster
        if self.page.is_cluster:
            cluster.look()
        seen = cluster.seen if self.page.is_cluster else None
        question = Question(
            self.parts, self.query, now, self.visitor.namespaces, seen, cluster.is_configured
        )
        shown = await self.context.board.shown()
        watched = self.page.watches(question)
        if watched == EVERYTHING or watched in shown.index:
            self.context.health.look(watched)
        health = shown.health
        away = () if health.ok else (health.since, health.detail)
        tick = int(now / _BY_TIME_S) if self.page.by_time else 0
        key = (
            tuple(self.parts.items()), tuple(self.query.items()), away, tick,
            self.visitor.name != "", self.visitor.right, self.visitor.namespaces,
        )  # fmt: skip
        state = (shown.index, shown.deployments, shown.answers if watched else None, seen)
        return self.context.renderer.fragment(
            self.page.template,
            key,
            state,
            lambda: {
                "view": self.page.view(shown, question),
                "health": health,
                "revision": shown.state.revision,
                "may": self.visitor.may,
                "query": self.query,
            },
        )

    async def follow(
        self, main: Rendered, known: str, send: Send, gone: asyncio.Task[None]
    ) -> None:
        """Send the page whenever it differs from `known`, until the client disconnects or must reconnect.

        A slow client misses versions in between: the newest one is rendered when it can be sent.
        """
        board, ends = self.context.board, time.monotonic() + LONGEST_S
        since = -1
        while time.monotonic() < ends and self.context.is_still_admitted(self.visitor):
            if main.digest != known:
                known = main.digest
                await tell(send, event("page", main.html, known))
            else:
                await tell(send, HEARTBEAT)
            if not await news(board, since, gone):
                return
            # Before it is looked at: what comes meanwhile is news again.
            since = board.news_count
            try:
                main = await self.content()
            except (RequestProblem, Unavailable):
                # What was looked at is gone: the page itself says so when it is loaded.
                await tell(send, event("reload", "", ""))
                return


def _whole(page: Page) -> BaseRouteHandler:
    @get(
        page.path, media_type=MediaType.HTML, include_in_schema=False, name=page.template,
        opt=_opt(page),
    )  # fmt: skip
    async def show(request: AnyRequest) -> Response[bytes]:
        asked = _Asked.of(page, request)
        if "deployment" in asked.parts:
            await until_known(
                request, f"{asked.parts['ns']}/{asked.parts['name']}", asked.parts["deployment"]
            )
        main = await asked.content()
        path = request.scope["path"]
        live = f"/live{path}?{urlencode(asked.query)}" if asked.query else f"/live{path}"
        title = f"{'/'.join(asked.parts.values())} {page.title}".strip()
        html = asked.context.renderer.page(title, main, asked.visitor, path, live)
        return Response(html, media_type=MediaType.HTML)

    return show


def _live(page: Page) -> BaseRouteHandler:
    # Not as a handler of raw ASGI: Litestar 2.25 finds none of those with variable parts in their path.
    @get(f"/live{page.path}".rstrip("/"), include_in_schema=False, opt=_opt(page))
    async def stream(request: AnyRequest) -> Response[None]:
        asked = _Asked.of(page, request)
        since = request.query_params.get(_SINCE, "")
        known = request.headers.get("last-event-id") or str(since or "")
        # Before the first byte, so that a page that is not there is a plain 404.
        main = await asked.content()
        return streamed(asked.context, lambda send, gone: asked.follow(main, known, send, gone))

    return stream


def _opt(page: Page) -> dict[str, bool]:
    return EVERYBODY if page.is_for_everybody else {}
