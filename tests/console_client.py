"""The console's application, asked without a socket."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from msgspec.structs import replace

from lbsync.clients.source import Put
from lbsync.console import app
from lbsync.console.board import Board
from lbsync.console.cluster_watch import ClusterWatch
from lbsync.console.context import Context, state_of
from lbsync.console.deploying import Deploying
from lbsync.console.health_watch import HealthWatch
from lbsync.console.operations import Operations
from lbsync.console.rendering import Renderer
from lbsync.console.security.limits import Places
from lbsync.console.security.sessions import Sessions
from lbsync.console.security.tokens import Tokens
from lbsync.deployer.assembly import providers
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.run import Tools
from lbsync.settings import Console, Settings
from lbsync.timestamps import stamp
from tests.fakes import FakeSource

HOST = "localhost:8480"
PAGE = {"accept": "text/html"}
OWN = {"origin": f"http://{HOST}"}


def an_agent(**fields: Any) -> dict[str, Any]:
    """What `agents/<host>` says of a host that does well."""
    good = {
        "revision": 10_000, "generation": 3, "digest": "ab12", "applied_at": "2026-01-01T00:00:00Z",
        "verified_at": "2026-01-01T00:00:00Z", "haproxy": "2.6.12", "state": "confirmed",
    }  # fmt: skip
    return good | fields


def a_fleet() -> dict[str, Any]:
    """Keys of a small fleet."""
    return {
        "services/shop/cart": {"mode": "http", "hosts": ["cart.example.com"], "paths": ["/", "/api"]},
        "endpoints/shop/cart/blue": {"servers": [{"name": "b1", "address": "10.0.0.7", "port": 80}]},
        "endpoints/shop/cart/green": {
            "servers": [{"name": "g1", "address": "10.0.0.8", "port": 80, "state": "drain"}]
        },
        "routes/shop/cart": {"groups": {"blue": 9, "green": 1}},
        "services/db/main": {"mode": "tcp", "listen": 5432},
        "endpoints/db/main/default": {"servers": [{"name": "a", "address": "10.0.1.7", "port": 5432}]},
        "services/shop/bad": {"mode": "http", "chek": {}},
        "agents/lb-1": an_agent(),
        "agents/lb-2": an_agent(
            state="held",
            held={"removal": "shop/cart would lose 2 of 2 servers (id 4f2a)"},
            hold={"id": "4f2a", "services": {"shop/cart": 0}, "since": "2026-01-01T00:00:00Z"},
            reloads=2, reload_reason="frontend fe_db_main, line 4",
        ),
        "agents/lb-3/seen": {"at": "2026-01-01T00:00:00Z", "left": "2026-01-02T00:00:00Z"},
        "publishers/prod/leader": {"identity": "pod-1/7", "since": stamp()},
        "publishers/prod/heartbeat": {
            "identity": "pod-1/7", "synced_at": stamp(), "services": 3, "refused": 1,
        },
        "publishers/prod/reports/service/shop/mail": {"since": stamp(), "refused": "hosts: no name"},
    }  # fmt: skip


UNDER_WAY, ENDED = "20260102-100000-00000b", "20260101-100000-00000a"


def a_deployment() -> dict[str, Any]:
    """Keys of deployments: of shop/cart one has ended, and one is under way."""
    blue, green = (
        {"group": "blue", "deployment": ENDED},
        {"group": "green", "deployment": UNDER_WAY},
    )
    first = {
        "id": ENDED, "provider": "groups", "action": "switch", "version": blue, "by": "token ci from 10.0.0.1",
        "created_at": "2026-01-01T10:00:00.000Z", "ended_at": "2026-01-01T10:00:42.500Z", "phase": "deployed",
        "phase_at": "2026-01-01T10:00:42.500Z", "events": 2,
    }  # fmt: skip
    second = {
        "id": UNDER_WAY, "provider": "groups", "action": "switch", "version": green, "old": blue,
        "strategy": {"steps": [10, 50], "manual": True}, "by": "ann on lb-1", "phase": "switching", "step": 1,
        "created_at": "2026-01-02T10:00:00.000Z", "phase_at": "2026-01-02T10:00:03.000Z",
        "previous": {"groups": {"blue": 1}}, "route": {"groups": {"blue": 9, "green": 1}},
        "waits": "somebody to promote it to step 2 of 3", "revisions": {"staged": 7, "switching": 8, "switching 1": 8},
        "events": 3, "notices": ["2 of 3 converged; lb-3 silent since 2026-01-02"],
    }  # fmt: skip
    told = [
        ("queued", "switch to green", "ann on lb-1"), ("staged", "1 of 1 servers is up on 2 of 2 hosts", ""),
        ("switching", "step 1 of 3: 10% of the traffic to green", ""),
    ]  # fmt: skip
    events = {
        f"events/shop/cart/{UNDER_WAY}/{number:06}": {
            "at": f"2026-01-02T10:00:0{number}.000Z", "phase": phase, "text": text, "by": by,
        }
        for number, (phase, text, by) in enumerate(told)
    }  # fmt: skip
    return {
        "versions/shop/cart": {"active": UNDER_WAY, "live": blue},
        f"deployments/shop/cart/{ENDED}": first,
        f"deployments/shop/cart/{UNDER_WAY}": second,
        f"deployments/db/main/{ENDED}": first
        | {"phase": "failed", "reason": "no server of blue is up"},
        "deployments/shop/new/20260103-100000-00000c": {"from": "a newer lbsync"},
        **events,
    }


def stored(values: Mapping[str, Any]) -> FakeSource:
    """A store with these keys; what agents and leaders write hangs on a lease."""
    source = FakeSource()
    for key, value in values.items():
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        is_alive = key.endswith("/leader") or (key.startswith("agents/") and key.count("/") == 1)
        source.commit([], [Put(key, data, 7 if is_alive else 0)])
    return source


#: What answers behind the gate, for all consoles of this process: to register the handlers takes longer than
#: most tests. Each request finds the console that it is for.
_handlers: list[Litestar] = []


class ConsoleClient:
    """Asks one console. Every request is made as `http://localhost:8480`."""

    def __init__(
        self,
        directory: Path,
        values: Mapping[str, Any] | None = None,
        deployments: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.source = stored(a_fleet() if values is None else values)
        self.source.start(lambda: None)
        self.tokens = Tokens(directory / "tokens.json")
        self.settings = replace(Console(), **settings)
        self.deployments = stored(a_deployment() if deployments is None else deployments)
        self.deployments.start(lambda: None)
        self.board = Board(self.source, frozenset(), deployments=self.deployments)
        ledger = Ledger(self.deployments, "/lbsync/", "a test")
        tools = Tools(ledger, self.source, providers(Settings()), 10.0)
        self.context = Context(
            self.settings, self.board, Renderer(), self.tokens,
            Sessions(self.tokens, 600.0), Operations(self.source), Places(self.settings.max_streams),
            HealthWatch(self.source, "a test"),
            Deploying(self.source, tools),
            ClusterWatch(replace(Settings(), console=self.settings), self.board.wake),
        )  # fmt: skip
        if not _handlers:
            _handlers.append(app.handlers(self.context))
        self._app = app.gated(_handlers[0], self.context)

    def options(self) -> list[tuple[str, dict[str, Any]]]:
        """Return path, as Litestar writes it, and options of each handler."""
        return [
            (route.path, dict(handler.opt))
            for route in app.handlers(self.context).routes
            for handler in getattr(route, "route_handlers", ())
        ]

    def keep(self, key: str, value: Any) -> None:
        """Write what deployers keep."""
        self.deployments.put(key, json.dumps(value).encode())

    def get(self, path: str, headers: Mapping[str, str] = PAGE) -> httpx.Response:
        """Ask for a page."""
        return self.ask("GET", path, headers)

    def post(self, path: str, headers: Mapping[str, str] = OWN, **form: str) -> httpx.Response:
        """Send a form from a page of the console."""
        return self.ask("POST", path, PAGE | dict(headers), form)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> httpx.Response:
        """Ask anything, with a body as it is."""
        return self._ask(method, path, headers, content=body)

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask anything. Redirects are not followed."""
        return self._ask(method, path, headers, data=form)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], **body: Any
    ) -> httpx.Response:
        _handlers[0].state.update(state_of(self.context))

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, headers=dict(headers), **body)

        return asyncio.run(asked())

    def log_in(self, right: str = "admin", name: str = "ann", *namespaces: str) -> dict[str, str]:
        """Return the headers of a browser that has logged in."""
        token = self.tokens.add(name, right, namespaces)  # type: ignore[arg-type]
        answer = self.post("/login", token=token, next="/")
        assert answer.status_code == 303, answer.text
        return PAGE | {"cookie": answer.headers["set-cookie"].partition(";")[0]}
