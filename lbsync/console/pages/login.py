"""Login and logout: a token is exchanged once for a cookie."""

from urllib.parse import urlsplit

from litestar import MediaType, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from lbsync import log
from lbsync.console.context import EVERYBODY, AnyRequest, context_of, form_of, visitor_of
from lbsync.console.rendering import Rendered
from lbsync.console.security.gate import COOKIE, LOGIN, SECURE_COOKIE, session_cookie


@get(LOGIN, media_type=MediaType.HTML, include_in_schema=False, opt=EVERYBODY)
async def ask(request: AnyRequest) -> Response[bytes]:
    """Ask for a token."""
    return _form(request, request.query_params.get("next", ""), "")


@post(LOGIN, include_in_schema=False, status_code=200, opt=EVERYBODY)
async def log_in(request: AnyRequest) -> Response[bytes] | Redirect:
    """Check the token, and redirect to the requested page."""
    context, form = context_of(request), await form_of(request)
    address = visitor_of(request).address
    token = context.tokens.find(form.get("token", "").strip())
    if token is None:
        log.get().warning("somebody was not let in: the token is not known", address=address)
        return _form(request, form.get("next", ""), "This token is not known here.")
    log.get().info(f"token {token.name} logs in", address=address, right=token.right)
    answer = Redirect(local(form.get("next", "")), status_code=303)
    cookie = context.sessions.begin(token)
    answer.set_cookie(_cookie(request, cookie, int(context.sessions.life)))
    return answer


@post("/logout", include_in_schema=False, status_code=303, opt=EVERYBODY)
async def log_out(request: AnyRequest) -> Redirect:
    """End the login."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    context_of(request).sessions.end(session_cookie(headers))
    answer = Redirect(LOGIN, status_code=303)
    answer.set_cookie(_cookie(request, "", 0))
    return answer


def local(path: str) -> str:
    r"""Return a path of this console for a redirect; `/` for anything that might lead elsewhere.

    `//host` and `/\host` are other hosts to a browser (URL standard, 4.4).
    """
    parts = urlsplit(path)
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours and not parts.netloc and "\\" not in path else "/"


def _cookie(request: AnyRequest, value: str, life: int) -> Cookie:
    is_https = request.url.scheme == "https"
    return Cookie(
        key=SECURE_COOKIE if is_https else COOKIE,
        value=value,
        path="/",
        max_age=life,
        httponly=True,
        secure=is_https,
        samesite="strict",
    )


def _form(request: AnyRequest, back: str, error: str) -> Response[bytes]:
    context = context_of(request)
    html = context.renderer.plain("login.html.j2", back=local(back), error=error)
    page = context.renderer.page("Log in", Rendered(html, ""), None, LOGIN)
    return Response(page, media_type=MediaType.HTML, status_code=401 if error else 200)
