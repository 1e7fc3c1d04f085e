"""`POST /hooks/<ns>/<app>`: a registry or pipeline reports a pushed image, which is then deployed."""

import asyncio
import fnmatch
import hmac
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.params import FromPath, QueryParameter

from lbsync import log
from lbsync.console.context import AnyRequest, context_of, visitor_of
from lbsync.console.deploying import Asked, Deploying, DeployOrder
from lbsync.console.pages.deploying import MOST_DOCUMENT, app_of, deploying_of
from lbsync.console.pages.resources import problems
from lbsync.console.payloads import pushed, repository
from lbsync.console.problem import Problem, RequestProblem
from lbsync.console.security.gate import SIGNATURE, Visitor, holder
from lbsync.console.security.tokens import Token
from lbsync.errors import Rejected
from lbsync.schema.keys import ServiceId
from lbsync.schema.reading import one_line
from lbsync.values.kubernetes import Image

_DELIVERIES = ("x-github-delivery", "idempotency-key")
_MOST_KEY = 255


class Heard(msgspec.Struct, frozen=True):
    """What became of a message."""

    app: str
    image: str
    """What was pushed; empty: nothing that could be deployed."""
    deployment: str
    """Id of the deployment that was begun; empty: none was."""
    said: str


@post(
    "/hooks/{ns:str}/{name:str}",
    summary="An image was pushed",
    status_code=202,
    request_max_body_size=MOST_DOCUMENT,
    responses=problems(404, 409, 413, 422, 500),
)
async def hook(
    request: AnyRequest,
    ns: FromPath[str],
    name: FromPath[str],
    tags: Annotated[
        str,
        QueryParameter(
            max_length=200,
            description="Which tags are deployed, as in `v*`; others are passed over.",
        ),
    ] = "*",
) -> Response[Heard]:
    """Deploy an image that was pushed. The body is the payload of Docker Hub, GitHub's event `package`, or
    `{"image": …}`; its repository must be the one of the app. The sender authenticates with a token with the
    right `deploy`: as a bearer token, in the query (`token`) if a sender does not support headers, or as the
    key of `X-Hub-Signature-256`."""
    app, body = app_of(ns, name), await request.body()
    visitor = await _sender(request, ns, body)
    message = pushed(body)
    if message.image is None:
        return Response(Heard(str(app), "", "", message.why), status_code=200)
    image, parts = message.image, message.image.parts
    if not fnmatch.fnmatchcase(parts.tag, tags):
        said = f"the tag {parts.tag} is none of {tags}"
        return Response(Heard(str(app), str(image), "", said), status_code=200)
    asked = Asked(str(visitor), _delivery(request, visitor.name), body)
    outcome = await asyncio.to_thread(_begin, deploying_of(request), app, image, asked)
    log.get().info(f"{app}: {image} was pushed", deployment=outcome, by=str(visitor))
    place = f"/api/deployments/{app}/{outcome}"
    return Response(
        Heard(str(app), str(image), outcome, "it is deployed"), headers={"location": place}
    )


def _begin(doing: Deploying, app: ServiceId, image: Image, asked: Asked) -> str:
    wanted = doing.wanted(app)
    before = wanted.document.get("image") if wanted is not None else None
    if isinstance(before, str):
        runs = one_line(repository(Image(before)))
        if repository(image) != runs:
            raise Rejected(
                f"{app} runs images of {runs}, and {image} is none of these; deploy the changed document once"
            )
    return doing.begin(app, DeployOrder(image=image), asked).deployment


async def _sender(request: AnyRequest, namespace: str, body: bytes) -> Visitor:
    """Return who sends it. Raises `RequestProblem`: the gate lets a signature pass, and it is judged here, where the
    body is known."""
    visitor = visitor_of(request)
    if not visitor.name and (signature := request.headers.get(SIGNATURE)):
        tokens = context_of(request).tokens.signing(namespace)
        token = await asyncio.to_thread(_signer, tokens, signature, body)
        visitor = holder(token, visitor.address) if token is not None else visitor
        if not visitor.name:
            log.get().warning(
                "a hook was not let in: its signature is nobody's", address=visitor.address
            )
            raise RequestProblem(
                Problem(
                    401,
                    "The signature is nobody's",
                    "Its key has to be a token that was made with 'lbsync token add NAME --right deploy --signs'.",
                )
            )
    if not visitor.may("deploy", namespace):
        raise RequestProblem(
            Problem(
                403,
                "This needs a token with the right 'deploy' for this namespace",
                f"'lbsync token add NAME --right deploy --namespace {namespace[:63]}' makes it.",
            )
        )
    return visitor


def _signer(tokens: Sequence[Token], signature: str, body: bytes) -> Token | None:
    """Return whose signature it is; None: nobody's."""
    kind, _, told = signature.partition("=")
    for token in tokens if kind == "sha256" else ():
        made = hmac.new(token.secret.encode(), body, "sha256").hexdigest()
        if hmac.compare_digest(made.encode(), told.strip().lower().encode()):
            return token
    return None


def _delivery(request: AnyRequest, client: str) -> str:
    """Return by what a message is known when it is sent again; empty: by nothing."""
    found = next((request.headers[each] for each in _DELIVERIES if request.headers.get(each)), "")
    return f"{client} {found[:_MOST_KEY]}" if found else ""
