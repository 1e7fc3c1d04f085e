"""The input of rendering: which files are rendered, and the names that their templates see.

Gathers from settings and the host; decides nothing. `templates/haproxy/README.md` documents every
name for the authors of templates.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import lbsync
from lbsync.agent.desired.host_files import HostState
from lbsync.agent.file_names import (
    BACKENDS_MAP,
    CERTIFICATES,
    CHECK_HOSTS_MAP,
    HOST_MAP,
    MAIN_FILE,
    PREVIEW_HOSTS_MAP,
    PREVIEWERS_MAP,
    PREVIEWS_MAP,
    ROUTES_MAP,
    SPLITS_MAP,
    STICKY_MAP,
)
from lbsync.agent.render.environment import Delimiters
from lbsync.agent.render.renderer import OutputSpec, Renderer
from lbsync.clients.certificates import CertificateFile
from lbsync.clients.haproxy import binary
from lbsync.errors import SettingsError, TemplateError, Unavailable
from lbsync.model.desired import Desired
from lbsync.model.rendered import Rendered
from lbsync.settings import Settings
from lbsync.settings.read import guess

#: They hold private keys: for HAProxy, which starts as root, and the agent's group.
CERTIFICATE_MODE = 0o640

#: Names that the context of templates has whatever services there are.
_OF_NO_SERVICE = frozenset(
    {"certificates", "certificate_names", "digest", "draining", "global", "name_servers"}
)

_GUID_SINCE = (3, 0)
_NOTHING_READ = HostState()

_PACKAGED = (
    OutputSpec("haproxy.cfg.j2", MAIN_FILE, "haproxy"),
    OutputSpec("certs.list.j2", "certs.list", "map"),
    OutputSpec("maps/backends.map.j2", BACKENDS_MAP, "map"),
    OutputSpec("maps/check_hosts.map.j2", CHECK_HOSTS_MAP, "map"),
    OutputSpec("maps/host.map.j2", HOST_MAP, "map"),
    OutputSpec("maps/preview_hosts.map.j2", PREVIEW_HOSTS_MAP, "map"),
    OutputSpec("maps/previewers.map.j2", PREVIEWERS_MAP, "map"),
    OutputSpec("maps/previews.map.j2", PREVIEWS_MAP, "map"),
    OutputSpec("maps/routes.map.j2", ROUTES_MAP, "map"),
    OutputSpec("maps/splits.map.j2", SPLITS_MAP, "map"),
    OutputSpec("maps/sticky.map.j2", STICKY_MAP, "map"),
    OutputSpec("maps/trusted.lst.j2", "maps/trusted.lst", "map"),
    OutputSpec("maps/wildcards.map.j2", "maps/wildcards.map", "map"),
    OutputSpec("errors/503.http.j2", "errors/503.http", "none"),
)


def packaged_templates() -> Path:
    """Return the directory of lbsync's own templates: inside the package, or of the checkout."""
    package = Path(lbsync.__file__).parent
    installed = package / "templates" / "haproxy"
    return installed if installed.is_dir() else package.parent / "templates" / "haproxy"


def output_specs(settings: Settings) -> list[OutputSpec]:
    """Return every file to render: the packaged set, then the settings' own `[[outputs]]`.

    One of the settings' with the path of a packaged file takes its place.
    """
    own = [
        OutputSpec(
            output.template,
            output.path,
            output.quote,
            int(output.mode),
            Delimiters(
                block=(output.block_left, output.block_right),
                variable=(output.left, output.right),
                comment=(output.comment_left, output.comment_right),
            ),
        )
        for output in settings.outputs
    ]
    taken = {spec.path for spec in own}
    packaged = [spec for spec in _PACKAGED if spec.path not in taken]
    return [*(packaged if settings.templates.packaged else ()), *own]


def certificates_in(rendered: Rendered) -> tuple[CertificateFile, ...]:
    """Return the certificates of a set."""
    start = f"{CERTIFICATES}/"
    return tuple(
        CertificateFile(file.path.removeprefix(start), file.data)
        for file in rendered.files
        if file.path.startswith(start)
    )


def templates_in(root: Path) -> set[str]:
    """Return the names of the templates below a directory."""
    return {str(path.relative_to(root)) for path in root.rglob("*.j2")}


def own_templates(settings: Settings) -> set[str]:
    """Return the names of the templates in the user's own directory."""
    directory = settings.templates.directory
    return templates_in(Path(directory)) if directory else set()


def prints_services_as_packaged(settings: Settings, renderer: Renderer) -> bool:
    """Tell whether a change of a service changes nothing but what the packaged templates print of it."""
    if settings.outputs or not settings.templates.packaged:
        return False
    return renderer.reads_only(_OF_NO_SERVICE, own_templates(settings))


def idle_templates(settings: Settings, renderer: Renderer) -> list[str]:
    """Return a sentence for each template of the user's that neither replaces one nor is used by one."""
    packaged = sorted(templates_in(packaged_templates()))
    otherwise = "'lbsync template ls' lists those that it could replace"
    return [
        f"{name}: no output is made of it; {guess(name, packaged, otherwise)}"
        for name in sorted(own_templates(settings) - renderer.templates)
    ]


def make_renderer(settings: Settings) -> Renderer:
    """Return a renderer of everything the settings ask for.

    Raises `TemplateError`, and `SettingsError` where HAProxy's program cannot do what they ask for.
    """
    _require_quic(settings)
    directories = [packaged_templates()]
    if settings.templates.directory:
        own = Path(settings.templates.directory)
        if not own.is_dir():
            # Without this, packaged templates would quietly take the place of the operator's own.
            raise TemplateError(f"{own}: there is no such directory; correct templates.directory")
        directories.insert(0, own)
    release = binary.version_or_oldest(settings.haproxy.binary)
    constants = {
        "proxy": settings.proxy,
        "haproxy": settings.haproxy,
        "haproxy_version": release,
        "keep_counters": settings.haproxy.keep_counters and release >= _GUID_SINCE,
        "host": str(settings.host),
        "state_dir": str(settings.state_dir),
    }
    limit = settings.templates.time_limit.seconds
    return Renderer(directories, output_specs(settings), constants, limit)


def _require_quic(settings: Settings) -> None:
    program = settings.haproxy.binary
    with contextlib.suppress(
        Unavailable
    ):  # rendered beside a balancer, where there is no such program
        if settings.proxy.http3 and not binary.has_quic(program):
            release = ".".join(map(str, binary.version(program)))
            raise SettingsError(
                [
                    f"proxy.http3: {program} (HAProxy {release}) was built without QUIC, or only with the "
                    "stopgap for an older OpenSSL; take a build with QUIC, like Debian's 3.2, or set it to false"
                ]
            )


def context(
    desired: Desired,
    certificates: list[CertificateFile],
    draining: bool,
    host: HostState = _NOTHING_READ,
) -> Mapping[str, object]:
    """Return the names that templates see besides the constants.

    The revision is not among them: it changes with every write, the configuration must not.
    """
    return {
        "services": desired.services,
        "backends": desired.backends,
        "profiles": desired.profiles,
        "tcp_services": desired.tcp_services,
        "split_services": desired.split_services,
        "preview_services": desired.preview_services,
        "sticky_cookies": desired.sticky_cookies,
        "wildcards": desired.wildcards,
        "nested_wildcards": desired.nested_wildcards,
        "global": desired.settings,
        "certificates": [f"{CERTIFICATES}/{file.name}" for file in certificates if file.served],
        "certificate_names": {
            f"{CERTIFICATES}/{file.name}": file.only for file in certificates if file.served
        },
        "draining": draining,
        "by_name": desired.by_name,
        "name_servers": host.name_servers,
        "stats_users": dict(host.stats_users),
    }
