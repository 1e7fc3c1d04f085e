"""What a proxy stands on (configuration manual, section 4)."""

from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.agent.haproxycfg.inheritance import Bases, proxy
from lbsync.agent.haproxycfg.parser import Section
from lbsync.agent.runtime.readback import is_disabled, weight_of


def of(text: str, name: str) -> tuple[Section, Section | None]:
    config = Parser().parse(text)
    section = _named(config, name)
    return section, Bases(config.placed).of(section)


def _named(config: Config, name: str) -> Section:
    (found,) = [p.section for p in config.placed if p.section.name == name]
    return found


BELOW = "defaults d_base\n default-server weight 7 disabled\n balance source\n"


def test_what_the_lowest_of_several_says_counts_unless_one_above_says_otherwise() -> None:
    section, base = of(f"{BELOW}defaults p from d_base\nbackend be from p\n server a :80\n", "be")
    (server,) = section.servers
    assert (weight_of(server, base), is_disabled(server, base)) == (7, True)
    assert proxy(section, base).static
    above = "defaults p from d_base\n balance first\n default-server weight 9 enabled\n"
    section, base = of(f"{BELOW}{above}backend be from p\n server a :80\n", "be")
    (server,) = section.servers
    assert (weight_of(server, base), is_disabled(server, base)) == (9, False)
    assert proxy(section, base).balance == "first"


def test_a_proxy_that_names_none_stands_on_the_last_one_before_it() -> None:
    text = f"{BELOW}defaults\n balance random\nbackend be\ndefaults p\n balance first\nbackend x\n"
    assert [proxy(*of(text, name)).balance for name in ("be", "x")] == ["random", "first"]
    assert of("backend be\n", "be")[1] is None


def test_equal_sections_stand_on_the_same_object() -> None:
    text = f"{BELOW}defaults p from d_base\nbackend be from p\n"
    assert of(text, "be")[1] is of(f"{text}backend more from p\n", "be")[1]
