"""What a generation serves: the number of services and servers, and the differences from another."""

import msgspec

from lbsync.agent.generations.store import Generation
from lbsync.agent.haproxycfg.config import Parser
from lbsync.errors import LbsyncError
from lbsync.values.plural import count

_PARTS = 4
"""Of `be_<ns>_<name>_<group>`."""


class Content(msgspec.Struct, frozen=True):
    """What a generation serves, read from its configuration: also where templates are one's own."""

    services: frozenset[str] = frozenset()
    """`<ns>/<name>`, or the names of backends that lbsync's own templates did not make."""
    servers: frozenset[str] = frozenset()
    """`<backend>/<server>`."""

    def __str__(self) -> str:
        """How much it is."""
        return f"{count(len(self.services), 'service')}, {count(len(self.servers), 'server')}"

    def against(self, live: "Content") -> str:
        """Return how it differs from what is live: `-2 services, +1 server`; empty: in neither."""
        parts = []
        for noun, here, there in (
            ("service", self.services, live.services), ("server", self.servers, live.servers),
        ):  # fmt: skip
            parts += [f"+{count(len(here - there), noun)}"] if here - there else []
            parts += [f"-{count(len(there - here), noun)}"] if there - here else []
        return ", ".join(parts)

    def loses(self, live: "Content", percent: int) -> bool:
        """Tell whether more than `percent` of the live servers would go, or all of them."""
        gone = len(live.servers - self.servers)
        return bool(gone) and (not self.servers or gone * 100 > len(live.servers) * percent)


def content(generation: Generation | None, parser: Parser) -> Content:
    """Return what a generation serves; nothing for None. Raises `LbsyncError`."""
    if generation is None:
        return Content()
    try:
        text = generation.main_file.read_text(errors="surrogateescape")
    except OSError as error:
        raise LbsyncError(f"{generation.main_file}: cannot be read: {error.strerror}") from error
    services, servers = set(), set()
    for placed in parser.parse(text).of("backend", "listen"):
        section = placed.section
        parts = section.name.split("_")
        if parts[0] == "be" and len(parts) == _PARTS:
            services.add(f"{parts[1]}/{parts[2]}")
        elif section.servers:
            services.add(section.name)
        servers |= {f"{section.name}/{server.name}" for server in section.servers}
    return Content(frozenset(services), frozenset(servers))
