"""The settings that a proxy inherits, and what it sets for all its servers: `balance`, `default-server`. Pure."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from lbsync.agent.haproxycfg.config import Placed
from lbsync.agent.haproxycfg.lexer import words
from lbsync.agent.haproxycfg.parser import Section, Server

PROXIES = frozenset(("frontend", "backend", "listen"))
Key = tuple[str, str]
"""Kind and name of a section."""

_STATIC = frozenset(("static-rr",))
_BY_HASH = frozenset(("source", "uri", "url_param", "hdr", "rdp-cookie", "hash"))


class Common(msgspec.Struct, frozen=True):
    """What a `defaults` section or a proxy itself says."""

    balance: str = ""
    """The algorithm without its arguments; empty: not said here."""
    hash_type: str = ""
    """`consistent` or `map-based`; empty: not said here."""
    default_server: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Line (the section's first is 0) and words of each `default-server`."""
    dynamic_cookies: bool = False
    """`dynamic-cookie-key`: cookies are made from addresses."""
    cookie: tuple[str, ...] = ()
    """The words of `cookie`."""
    persistent: bool = False
    """Some clients are sent to a certain server, by a cookie, a table or a rule."""
    checks: tuple[tuple[str, ...], ...] = ()
    """The words of each line that says how servers are checked."""

    def before(self, line: int) -> tuple[str, ...]:
        """Return the `default-server` words in force at a line of the section."""
        return tuple(word for at, said in self.default_server if at < line for word in said)


NOTHING = Common()
_PERSISTENT = frozenset(("cookie", "stick", "use-server", "persist", "force-persist"))
_CHECKS = frozenset(("http-check", "tcp-check", "external-check"))
_FIRST_WORDS = (
    *("balance", "hash-type", "default-server", "dynamic-cookie-key", "option"),
    *_PERSISTENT,
    *_CHECKS,
)


def common(section: Section | None) -> Common:
    """Read a section; nothing is said where there is none."""
    if section is None:
        return NOTHING
    balance = hash_type = ""
    default_server: list[tuple[int, tuple[str, ...]]] = []
    dynamic_cookies = False
    cookie: tuple[str, ...] = ()
    persistent = False
    checks: list[tuple[str, ...]] = []
    for number, line in enumerate(section.text.split("\n")):
        if not line.lstrip().startswith(_FIRST_WORDS):
            continue
        keyword, *rest = words(line)
        persistent = persistent or keyword in _PERSISTENT
        option = rest[0] if keyword == "option" and rest else ""
        if keyword in _CHECKS or option.endswith(("-check", "chk")):
            checks.append((keyword, *rest))
        if keyword == "balance" and rest:
            balance = rest[0].partition("(")[0]
        elif keyword == "hash-type" and rest:
            hash_type = rest[0]
        elif keyword == "default-server":
            default_server.append((number, tuple(rest)))
        elif keyword == "dynamic-cookie-key":
            dynamic_cookies = True
        elif keyword == "cookie":
            cookie = tuple(rest)
    return Common(
        balance,
        hash_type,
        tuple(default_server),
        dynamic_cookies,
        cookie,
        persistent,
        tuple(checks),
    )


class Proxy(msgspec.Struct, frozen=True):
    """A proxy with the `defaults` it stands on."""

    own: Common
    base: Common

    @property
    def balance(self) -> str:
        """The algorithm in force."""
        return self.own.balance or self.base.balance or "roundrobin"

    @property
    def static(self) -> bool:
        """Its algorithm is computed once: no new servers, no weights between (manual, "balance")."""
        consistent = (self.own.hash_type or self.base.hash_type) == "consistent"
        return self.balance in _STATIC or (self.balance in _BY_HASH and not consistent)

    @property
    def dynamic_cookies(self) -> bool:
        """Cookies are made from addresses."""
        return self.own.dynamic_cookies or self.base.dynamic_cookies

    @property
    def persistent(self) -> bool:
        """Some clients are sent to a certain server."""
        return self.own.persistent or self.base.persistent

    @property
    def checks(self) -> tuple[tuple[str, ...], ...]:
        """The lines that say how servers are checked."""
        return (*self.base.checks, *self.own.checks)

    @property
    def computes_cookies(self) -> bool:
        """Servers without a cookie of their own get one that HAProxy computes."""
        return self.dynamic_cookies and "dynamic" in (self.own.cookie or self.base.cookie)

    def inherited(self, server: Server) -> tuple[str, ...]:
        """Return the words that `default-server` lines put before those of a server."""
        everywhere = tuple(word for _, said in self.base.default_server for word in said)
        return everywhere + self.own.before(server.line)


def proxy(section: Section, base: Section | None) -> Proxy:
    """Read a proxy's section and its `defaults`."""
    return Proxy(common(section), _common_of_many(base))


#: Ten thousand backends may stand on one section.
_common_of_many = lru_cache(maxsize=256)(common)


class Bases:
    """The `defaults` section of every proxy of a configuration (configuration manual, section 4).

    One that stands on another one counts with what it takes over from it.
    """

    def __init__(self, placed: Iterable[Placed]) -> None:
        self._named: dict[str, Section] = {}
        self.unnamed: dict[Key, Section | None] = {}
        """Proxies that name none to what they stand on: the last one before them."""
        last: Section | None = None
        for each in placed:
            section = each.section
            if section.kind == "defaults":
                last = _stacked(section, self._named.get(section.inherits))
                if section.name:
                    self._named[section.name] = last
            elif not section.inherits and section.kind in PROXIES:
                self.unnamed[section.kind, section.name] = last

    def of(self, section: Section) -> Section | None:
        """Return what a proxy of this configuration stands on."""
        if section.inherits:
            return self._named.get(section.inherits)
        return self.unnamed.get((section.kind, section.name))


@lru_cache(maxsize=1 << 14)
def _stacked(section: Section, below: Section | None) -> Section:
    """Return a `defaults` section with what it takes over; the same object for the same sections."""
    if below is None:
        return section
    own_weight, own_state = section.weight, section.disabled_servers
    return msgspec.structs.replace(
        section,
        text=f"{below.text}\n{section.text}",
        weight=below.weight if own_weight is None else own_weight,
        disabled_servers=below.disabled_servers if own_state is None else own_state,
    )
