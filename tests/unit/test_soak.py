"""The soak's judgement of a reload: was it needed?"""

from pathlib import Path

from bench.soak import takes_reload
from lbsync.agent.generations.read import LoadedGeneration
from lbsync.agent.generations.store import Generation, Meta
from lbsync.agent.haproxycfg.config import Parser
from lbsync.clients.haproxy import capabilities
from lbsync.model.rendered import Rendered, RenderedFile

_CAN = capabilities.of_release((3, 2, 26))


def generation(backend: str) -> LoadedGeneration:
    text = f"global\n\ndefaults\n    mode http\n\nbackend be\n{backend}"
    rendered = Rendered("d", (RenderedFile("haproxy.cfg", text.encode(), 0o644),))
    return LoadedGeneration(Generation(1, Path(), Meta("d")), rendered, Parser().parse(text))


def test_a_reload_for_another_server_alone_counts_as_needless() -> None:
    before = generation("    server a 127.0.0.1:80\n")
    assert not takes_reload(before, generation("    server b 127.0.0.1:81\n"), _CAN)
    assert not takes_reload(before, before, _CAN)


def test_a_reload_for_other_settings_counts_as_needed() -> None:
    before = generation("    server a 127.0.0.1:80\n")
    after = generation("    timeout server 9s\n    server b 127.0.0.1:81\n")
    assert takes_reload(before, after, _CAN)
