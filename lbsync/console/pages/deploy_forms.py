"""Actions on deployments: first a page that explains the action, then the action."""

import asyncio
import secrets

import msgspec
from litestar import MediaType, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from lbsync import log
from lbsync.console.context import AnyRequest, context_of, demand, form_of
from lbsync.console.deploying import Asked
from lbsync.console.facts.apps import AppView, app_view
from lbsync.console.facts.deployment import DeploymentView, deployment_view
from lbsync.console.pages.deploying import (
    app_of,
    deploying_of,
    order_command,
    order_removal,
    read_order,
)
from lbsync.console.pages.resources import (
    deployments_of,
    no_app,
    no_deployment,
    there,
    until_known,
)
from lbsync.console.problem import Problem, RequestProblem
from lbsync.console.rendering import Rendered
from lbsync.errors import Rejected

_MOST_FIELD = 600
_KEY_BYTES = 16


class Prompt(msgspec.Struct, frozen=True):
    """What the page says before a command is given."""

    command: str
    button: str
    says: str
    is_dangerous: bool = False


PROMPTS = {
    prompt.command: prompt
    for prompt in (
        Prompt(
            "pause",
            "Pause",
            "It stays as it is, with its traffic split as it is now, until somebody resumes it. A new version that is "
            "watched and does badly still brings the old one back.",
        ),
        Prompt("resume", "Resume", "It goes on from where it stands."),
        Prompt("promote", "Promote", "It goes on to the next step, without waiting any longer."),
        Prompt(
            "cancel",
            "Cancel",
            "The route is put back as it was before; once every balancer has that, the new version is taken away.",
            is_dangerous=True,
        ),
        Prompt(
            "rollback",
            "Roll back",
            "The old version gets all its traffic back at once; once every balancer has that, the new version is taken "
            "away.",
            is_dangerous=True,
        ),
        Prompt(
            "abandon",
            "Abandon",
            "It ends as it stands, though not every balancer has gone back. The new version is kept as long as one of "
            "these may still lead somebody there, and the deployment says which.",
            is_dangerous=True,
        ),
    )
}


@get("/apps/{ns:str}/{name:str}/deploy", media_type=MediaType.HTML, include_in_schema=False)
async def ask_deploy(
    request: AnyRequest, ns: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """Ask what is to be deployed, and how."""
    demand(request, "deploy")
    view = await _app(request, f"{ns}/{name}")
    again = request.query_params.get("deployment", "")[:_MOST_FIELD]
    return await _page(
        request,
        f"Deploy {ns}/{name}",
        "deploy.html.j2",
        view=view,
        again=next((row for row in view.history if row.id == again), None),
        group=request.query_params.get("group", "")[:_MOST_FIELD],
        # What the button begins is begun once, however often it is pressed.
        key=secrets.token_urlsafe(_KEY_BYTES),
    )


@post("/apps/{ns:str}/{name:str}/deploy", include_in_schema=False, status_code=303)
async def deploy(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Redirect:
    """Begin it, and lead to it."""
    visitor, app = demand(request, "deploy"), app_of(ns, name)
    form = await form_of(request)
    body = msgspec.json.encode(_order(form))
    key = form.get("key", "")[:_MOST_FIELD]
    asked = Asked(str(visitor), f"{visitor.name} {key}" if key else "", body)
    outcome = await asyncio.to_thread(deploying_of(request).begin, app, read_order(body), asked)
    log.get().info(f"{app}: a deployment begins", deployment=outcome.deployment, by=str(visitor))
    return _to(f"{ns}/{name}", outcome.deployment)


@get("/apps/{ns:str}/{name:str}/rollback", media_type=MediaType.HTML, include_in_schema=False)
async def ask_back(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Say what going back means."""
    demand(request, "deploy")
    view = await _app(request, f"{ns}/{name}")
    prompt = Prompt(
        "rollback",
        "Roll back",
        "The version before gets all the traffic back: what is under way is turned round; where nothing is, a "
        "deployment of the version before begins, at once where that is kept warm.",
        is_dangerous=True,
    )
    return await _explained(request, prompt, view.row.app, f"/apps/{view.row.app}", view.row.app)


@post("/apps/{ns:str}/{name:str}/rollback", include_in_schema=False, status_code=303)
async def back(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Redirect:
    """Go back, and lead to what does it."""
    visitor, app = demand(request, "deploy"), app_of(ns, name)
    outcome = await asyncio.to_thread(
        deploying_of(request).back, app, Asked(str(visitor), body=b"rollback")
    )
    log.get().info(f"{app}: rollback", deployment=outcome.deployment, by=str(visitor))
    return _to(f"{ns}/{name}", outcome.deployment)


@get("/apps/{ns:str}/{name:str}/remove", media_type=MediaType.HTML, include_in_schema=False)
async def ask_remove(
    request: AnyRequest, ns: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """Say what taking an app away means."""
    demand(request, "admin")
    view = await _app(request, f"{ns}/{name}")
    if not view.row.has_document:
        raise RequestProblem(
            Problem(
                404, "Nothing to take away", f"No app {view.row.app} was deployed on Kubernetes."
            )
        )
    prompt = Prompt(
        "remove",
        "Remove",
        "It gets no request any more: whoever asks for it is answered 503. Once every balancer has that and its "
        "sessions have ended, its Service, its Deployments and all of its pods are removed. Until then it can be "
        "cancelled.",
        is_dangerous=True,
    )
    return await _explained(request, prompt, view.row.app, f"/apps/{view.row.app}", view.row.app)


@post("/apps/{ns:str}/{name:str}/remove", include_in_schema=False, status_code=303)
async def remove(request: AnyRequest, ns: FromPath[str], name: FromPath[str]) -> Redirect:
    """Begin to take it away, and lead to what does it."""
    app = app_of(ns, name)
    return _to(str(app), (await order_removal(request, app)).deployment)


@get(
    "/deployments/{ns:str}/{name:str}/{deployment:str}/{command:str}",
    media_type=MediaType.HTML,
    include_in_schema=False,
)
async def ask_command(
    request: AnyRequest,
    ns: FromPath[str],
    name: FromPath[str],
    deployment: FromPath[str],
    command: FromPath[str],
) -> Response[bytes]:
    """Say what would be done."""
    demand(request, "deploy")
    prompt, found = _prompt(command), await _deployment(request, f"{ns}/{name}", deployment)
    app = found.row.app
    place = f"/deployments/{app}/{found.row.id}"
    return await _explained(request, prompt, app, place, f"the {found.row.purpose}")


@post(
    "/deployments/{ns:str}/{name:str}/{deployment:str}/{command:str}",
    include_in_schema=False,
    status_code=303,
)
async def command(
    request: AnyRequest,
    ns: FromPath[str],
    name: FromPath[str],
    deployment: FromPath[str],
    command: FromPath[str],
) -> Redirect:
    """Do it, and lead back."""
    app = app_of(ns, name)
    await order_command(request, app, deployment, command)
    return _to(str(app), deployment)


def _order(form: dict[str, str]) -> dict[str, object]:
    """Return an order as a program would send it; what is wrong in it is told as to a program."""
    order: dict[str, object] = {
        field: form[field].strip()
        for field in ("group", "deployment", "image")
        if form.get(field, "").strip()
    }
    strategy: dict[str, object] = {}
    if steps := form.get("steps", "").replace("%", " ").replace(",", " ").split():
        if not all(step.isascii() and step.isdecimal() and len(step) < 4 for step in steps):
            raise Rejected("the steps are no numbers: write percent of the traffic, as in 10, 50")
        strategy["steps"] = list(map(int, steps))
    for choice in ("manual", "preview"):
        if form.get(choice):
            strategy[choice] = True
    if watch := form.get("watch", "").strip():
        strategy["watch"] = watch
    if strategy:
        order["strategy"] = strategy
    return order


def _to(app: str, deployment: str) -> Redirect:
    place = f"/deployments/{app}/{deployment}" if deployment else f"/apps/{app}?done=nothing"
    return Redirect(place, status_code=303)


async def _explained(
    request: AnyRequest, prompt: Prompt, app: str, place: str, what: str
) -> Response[bytes]:
    """Return the page that says what a command means. `place`: where it is sent; `what`: whom it is about."""
    return await _page(
        request, f"{prompt.button} {app}", "command.html.j2",
        app=app, place=place, prompt=prompt, what=what,
    )  # fmt: skip


async def _page(
    request: AnyRequest, title: str, template: str, **values: object
) -> Response[bytes]:
    renderer, visitor = context_of(request).renderer, demand(request, "deploy")
    html = renderer.plain(template, **values)
    page = renderer.page(title, Rendered(html, ""), visitor, "/apps/")
    return Response(page, media_type=MediaType.HTML)


def _prompt(command: str) -> Prompt:
    prompt = PROMPTS.get(command)
    if prompt is None:
        raise RequestProblem(Problem(404, "No such command", f"There are {', '.join(PROMPTS)}."))
    return prompt


async def _app(request: AnyRequest, name: str) -> AppView:
    shown = await context_of(request).board.shown()
    found = app_view(shown.index, there(shown), name)
    if found is None:
        raise no_app(name)
    return found


async def _deployment(request: AnyRequest, app: str, name: str) -> DeploymentView:
    await until_known(request, app, name)
    found = deployment_view(await deployments_of(request), app, name)
    if found is None:
        raise no_deployment(app, name)
    return found


PAGES = [ask_deploy, deploy, ask_back, back, ask_remove, remove, ask_command, command]
