"""The style sheet, the script and the icon: read once, served from memory."""

from litestar import Response, get
from litestar.params import FromPath

from lbsync.console.context import EVERYBODY
from lbsync.console.problem import Problem, RequestProblem
from lbsync.console.rendering import STATIC

_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FILES = {
    path.name: (_KINDS[path.suffix], path.read_bytes())
    for path in sorted(STATIC.iterdir())
    if path.suffix in _KINDS
}


@get("/static/{name:str}", include_in_schema=False, opt=EVERYBODY)
async def static(name: FromPath[str]) -> Response[bytes]:
    """Return one file."""
    if name not in _FILES:
        raise RequestProblem(Problem(404, "No such file", ""))
    kind, content = _FILES[name]
    return Response(content, media_type=kind)


@get("/healthz", include_in_schema=False, media_type="text/plain", opt=EVERYBODY)
async def healthz() -> str:
    """Return that the program answers; `/api/health` shows whether etcd does."""
    return "ok\n"
