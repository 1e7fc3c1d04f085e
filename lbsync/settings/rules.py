"""What must hold between settings. Pure."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from lbsync.settings.outputs import MAIN_FILE
from lbsync.settings.read import Given, Name
from lbsync.settings.root import Settings

Finding = tuple[frozenset[Name], str]
"""The settings that contradict each other, and a sentence that begins with the place."""


class Place(Protocol):
    """Builds a finding from a sentence and the settings it is about."""

    def __call__(self, sentence: str, *names: Name) -> Finding:
        """Return the finding, with the place where the first of `names` was written."""
        ...


def contradictions(settings: Settings, given: Mapping[Name, Given]) -> Iterator[Finding]:
    """Yield what does not fit together. `given` tells where each value was written."""

    def finding(sentence: str, *names: Name) -> Finding:
        written = [given[name].where for name in names if name in given]
        place = written[0] if written else "[{}] {}".format(*names[0])
        return frozenset(names), f"{place}: {sentence}"

    agent, etcd = settings.agent, settings.etcd
    if agent.debounce_max < agent.debounce:
        yield finding(
            f"debounce_max ({agent.debounce_max}) is shorter than debounce ({agent.debounce}); "
            "make it at least as long",
            ("agent", "debounce_max"), ("agent", "debounce"),
        )  # fmt: skip
    if agent.retry_max < agent.retry_min:
        yield finding(
            f"retry_max ({agent.retry_max}) is shorter than retry_min ({agent.retry_min}); "
            "make it at least as long",
            ("agent", "retry_max"), ("agent", "retry_min"),
        )  # fmt: skip
    if bool(etcd.cert) != bool(etcd.key):
        yield finding(
            "a client certificate needs both cert and key; name both files or neither",
            ("etcd", "cert"), ("etcd", "key"),
        )  # fmt: skip
    if bool(etcd.user) != bool(etcd.password_file):
        yield finding(
            "user and password_file belong together; set both or neither",
            ("etcd", "user"), ("etcd", "password_file"),
        )  # fmt: skip
    if len({endpoint.secure for endpoint in etcd.endpoints}) > 1:
        yield finding(
            "http and https are mixed; the password would travel readable to some members",
            ("etcd", "endpoints"),
        )
    if etcd.ca and not any(endpoint.secure for endpoint in etcd.endpoints):
        yield finding(
            "ca is set, but the endpoints are http://; write https://",
            ("etcd", "ca"), ("etcd", "endpoints"),
        )  # fmt: skip
    if settings.publisher.heartbeat >= settings.publisher.full_compare:
        yield finding(
            f"heartbeat ({settings.publisher.heartbeat}) is not shorter than full_compare "
            f"({settings.publisher.full_compare}); make it shorter",
            ("publisher", "heartbeat"), ("publisher", "full_compare"),
        )  # fmt: skip
    yield from _log(settings, finding_at=finding)
    yield from _haproxy(settings, finding_at=finding)
    yield from _binds(settings, finding_at=finding)
    yield from _outputs(settings, finding_at=finding)
    yield from _console(settings, finding_at=finding)


def _log(settings: Settings, finding_at: Place) -> Iterator[Finding]:
    chosen = settings.log
    # A target alone is in order: a flag may choose another format for one command.
    if chosen.format == "gelf" and chosen.gelf_target is None:
        yield finding_at(
            'format = "gelf" needs gelf_target, such as "udp://graylog.example.com:12201"',
            ("log", "format"), ("log", "gelf_target"),
        )  # fmt: skip
    if chosen.gelf_ca and chosen.gelf_target is not None and chosen.gelf_target.kind != "tls":
        yield finding_at("gelf_ca is for tls:// alone", ("log", "gelf_ca"), ("log", "gelf_target"))


def _haproxy(settings: Settings, finding_at: Place) -> Iterator[Finding]:
    haproxy = settings.haproxy
    if haproxy.master_socket is None and haproxy.stats_socket is None:
        yield finding_at(
            "without master_socket and stats_socket nothing can be read back; name one of them",
            ("haproxy", "master_socket"), ("haproxy", "stats_socket"),
        )  # fmt: skip
    elif haproxy.master_socket is None and haproxy.reload == "master":
        yield finding_at(
            'reload = "master" needs master_socket; name it, or reload by "signal" or "command"',
            ("haproxy", "master_socket"), ("haproxy", "reload"),
        )  # fmt: skip
    if haproxy.reload == "command" and not haproxy.reload_command:
        yield finding_at(
            'reload = "command" needs reload_command, such as "systemctl reload haproxy"',
            ("haproxy", "reload"), ("haproxy", "reload_command"),
        )  # fmt: skip


def _binds(settings: Settings, finding_at: Place) -> Iterator[Finding]:
    """Two binds of one address and port would share connections silently (SO_REUSEPORT)."""
    proxy = settings.proxy
    seen: dict[str, str] = {}
    stats = (proxy.stats_bind,) if proxy.stats_bind else ()
    agent = settings.agent.http_bind
    if agent is not None and agent.port in proxy.reserved_ports:
        yield finding_at(
            f"port {agent.port} is one of HAProxy's ([proxy]); choose another",
            ("agent", "http_bind"),
        )
    groups = (
        ("http_bind", proxy.http_bind),
        ("https_bind", proxy.https_bind),
        ("stats_bind", stats),
    )
    for field, binds in groups:
        for bind in binds:
            if bind in seen:
                yield finding_at(
                    f"{bind} is listened on twice (also in {seen[bind]}); take one out",
                    ("proxy", field), ("proxy", seen[bind]),
                )  # fmt: skip
            seen[bind] = field


def _outputs(settings: Settings, finding_at: Place) -> Iterator[Finding]:
    seen: set[str] = set()
    for number, output in enumerate(settings.outputs, 1):
        if output.path in seen:
            yield finding_at(f"number {number}: {output.path} is written twice", ("", "outputs"))
        seen.add(output.path)
        inside = not output.path.startswith("/")
        if inside and ".." in output.path.split("/"):
            yield finding_at(
                f"number {number}: path {output.path} leads out of the generation; take out ..",
                ("", "outputs"),
            )
        if inside and (output.check or output.reload or output.owner or output.group):
            yield finding_at(
                f"number {number}: {output.path} lies inside the generation, which is checked and "
                "reloaded as a whole; take out check, reload, owner and group",
                ("", "outputs"),
            )
        if len({output.left, output.block_left, output.comment_left}) < 3:
            yield finding_at(
                f"number {number}: left, block_left and comment_left must be three different texts",
                ("", "outputs"),
            )
    if settings.templates.packaged and not settings.templates.contract:
        yield finding_at(
            "contract = false leaves the packaged templates without any service; set packaged = false "
            "as well, or take it out",
            ("templates", "contract"), ("templates", "packaged"),
        )  # fmt: skip
    brings_own = any(output.path == MAIN_FILE for output in settings.outputs)
    if not settings.templates.packaged and not brings_own:
        yield finding_at(
            f'packaged = false needs an output with path = "{MAIN_FILE}", or nothing is served',
            ("templates", "packaged"), ("", "outputs"),
        )  # fmt: skip


def _console(settings: Settings, finding_at: Place) -> Iterator[Finding]:
    console = settings.console
    if bool(console.tls_cert) != bool(console.tls_key):
        yield finding_at(
            "a certificate needs both tls_cert and tls_key; name both files or neither",
            ("console", "tls_cert"), ("console", "tls_key"),
        )  # fmt: skip
    if not (console.is_local or console.tls_cert or console.plain_text):
        yield finding_at(
            f"on {console.bind} tokens would travel readable; name tls_cert and tls_key, or set plain_text "
            "where a proxy in front does TLS",
            ("console", "bind"), ("console", "tls_cert"), ("console", "plain_text"),
        )  # fmt: skip
