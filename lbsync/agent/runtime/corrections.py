"""What a command may have changed that none of our steps changes: checks, health, limits, frontends. Pure.

These cannot be kept by hand, because HAProxy forgets them with the next reload. So they are drift.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec

from lbsync.agent.haproxycfg.parser import Section, Server
from lbsync.agent.haproxycfg.server_options import options
from lbsync.agent.runtime.readback import Mismatch, is_ip
from lbsync.clients.haproxy.answers import (
    OP_RUNNING,
    OP_STARTING,
    Frontend,
    ServerLimit,
    ServerState,
)

Correction = tuple[Mismatch, str]
"""A difference, and the command that puts it right; empty: only a reload does."""

_CHECK_ON = frozenset(("6", "7", "14", "15"))
_AGENT_ON = frozenset(("22", "23", "30", "31"))
_LIMITS = {
    "ConnRateLimit": ("maxconnrate", "connections", 1),
    "SessRateLimit": ("maxsessrate", "sessions", 1),
    "SslRateLimit": ("maxsslrate", "ssl-sessions", 1),
    "CompressBpsRateLim": ("maxcomprate", "http-compression", 1024),
}
"""Field of `show info` to the keyword of `global`, the word of `set rate-limit`, and the unit."""
_MAXCONN = re.compile(r"^[ \t]*maxconn[ \t]+(\S+)", re.MULTILINE)
_SHUT = {"PAUSED": "disabled", "STOP": "shut down"}


class Extras(msgspec.Struct, frozen=True, gc=False):
    """What the words of a server line ask for besides address, weight and maintenance."""

    check: bool
    agent: bool
    own_health: bool
    """Nothing but a command decides whether it is up."""
    tls: bool
    check_port: str
    check_address: str
    agent_port: str
    agent_address: str
    limit: str | None
    """`maxconn`; empty: none, None: not known."""
    has_cookie: bool
    """Clients come back to it by a cookie, a written or a computed one."""
    usual: frozenset[tuple[str, str, str]]
    """`check`, `agent` and `rest` of a server that nobody has touched, nearly always."""

    def met(self, now: ServerState) -> bool:
        """Tell whether a server is as it should be; cheap, as thirty thousand are looked at twice a minute."""
        usual = (now.check, now.agent, now.rest) in self.usual
        return usual and now.fqdn == "-" and (now.op_state == OP_RUNNING or not self.own_health)


@lru_cache(maxsize=1024)
def _one_of(equal: Extras) -> Extras:
    return equal


# Few: words of a server's own (`guid`) would keep those of thousands of servers that are long gone.
@lru_cache(maxsize=128)
def extras(words: tuple[str, ...], *, cookies: bool = False) -> Extras:
    """Read the options of a server, inherited ones first; `cookies`: HAProxy computes one for it.

    Servers of which the same is asked share it: with a `guid` each, thirty thousand would have one of their own.
    """
    said: dict[str, str] = {}
    for option in options(words):
        said[option[0]] = option[-1]
        for name in ("check", "agent-check", "ssl"):
            if option[0] == f"no-{name}":
                said.pop(name, None)
    check, agent, tls = (
        "check" in said and "track" not in said,
        "agent-check" in said,
        "ssl" in said,
    )
    port, address = said.get("port", "0"), said.get("addr", "-")
    agent_port, agent_address = said.get("agent-port", "0"), said.get("agent-addr", address)
    rest = f"- {int(tls)} {port} {address} {agent_address} {agent_port}"
    return _one_of(
        Extras(
            check,
            agent,
            not check and not agent and "track" not in said,
            tls,
            port,
            address,
            agent_port,
            agent_address,
            _limit(said),
            cookies or "cookie" in said,
            frozenset(
                (one, other, rest)
                for one in (_CHECK_ON if check else ("0",))
                for other in (_AGENT_ON if agent else ("0",))
            ),
        )
    )


def _limit(said: Mapping[str, str]) -> str | None:
    """Return the `maxconn` that HAProxy makes of the options: `minconn` where that is more."""
    limits = [said.get(keyword, "0") for keyword in ("maxconn", "minconn")]
    if not all(map(str.isdecimal, limits)):
        return None
    return str(max(map(int, limits)) or "")


def of_limits(
    server: Server, name: str, now: ServerLimit, wanted: Extras, *, cookies: bool
) -> Iterator[Correction]:
    """Yield what a command has changed of a server's `maxconn`, and with `cookies` of its cookie."""
    if wanted.limit is not None and now.limit != wanted.limit:
        mismatch = Mismatch(name, "maxconn", wanted.limit or "none", now.limit or "none")
        yield mismatch, f"set maxconn server {name} {wanted.limit or 0}"
    if cookies and is_ip(server.address) and wanted.has_cookie != bool(now.cookie):
        on, off, word = ("on", "off", "enable") if wanted.has_cookie else ("off", "on", "disable")
        backend = name.rpartition("/")[0]
        yield (
            Mismatch(backend, "dynamic cookies", on, off),
            f"{word} dynamic-cookie backend {backend}",
        )


def of_server(server: Server, now: ServerState, wanted: Extras) -> Iterator[Correction]:
    """Yield what a command has changed of a server."""
    name = f"{now.backend}/{now.name}"
    if wanted.check and now.check not in _CHECK_ON:
        yield Mismatch(name, "health checks", "on", "off"), f"enable health {name}"
    if wanted.agent and now.agent not in _AGENT_ON:
        yield Mismatch(name, "agent checks", "on", "off"), f"enable agent {name}"
    if wanted.own_health and now.admin_state in (0, 4) and not (_is_up(now) or server.disabled):
        yield Mismatch(name, "health", "up", "down by command"), f"set server {name} health up"
    if is_ip(server.address):
        yield from _places(name, server, now, wanted)
    elif now.fqdn not in ("-", server.address):
        yield (
            Mismatch(name, "name", server.address, now.fqdn),
            f"set server {name} fqdn {server.address}",
        )


def _is_up(now: ServerState) -> bool:
    return now.op_state in (OP_STARTING, OP_RUNNING)


def _places(name: str, server: Server, now: ServerState, wanted: Extras) -> Iterator[Correction]:
    """Yield differences in TLS, and in where checks go."""
    rest = now.rest.split(" ")
    if len(rest) < 6:
        return
    _, tls, port, address, agent_address, agent_port = rest[:6]
    if tls in ("0", "1") and wanted.tls != (tls == "1"):
        on = "on" if wanted.tls else "off"
        yield (
            Mismatch(name, "TLS", on, "off" if wanted.tls else "on"),
            f"set server {name} ssl {on}",
        )
    if wanted.check:
        own = (str(server.port), server.address)
        there = (wanted.check_port, wanted.check_address)
        yield from _place(name, "check", there, (port, address), own)
    if wanted.agent:
        there = (wanted.agent_port, wanted.agent_address)
        yield from _place(name, "agent", there, (agent_port, agent_address), there)


def _place(
    name: str, what: str, wanted: tuple[str, str], now: tuple[str, str], own: tuple[str, str]
) -> Iterator[Correction]:
    """`own`: what stands for a port or an address that is not given, when it is put back."""
    (port, address), (now_port, now_address) = wanted, now
    if now_port != port and not (port == "0" and now_port == own[0]):
        command = f"set server {name} {what}-port {port if port != '0' else own[0]}"
        yield Mismatch(name, f"{what} port", port, now_port), command
    known = is_ip(address) or address == "-"
    if known and now_address != address and not (address == "-" and now_address == own[1]):
        command = f"set server {name} {what}-addr {address if address != '-' else own[1]}"
        yield Mismatch(name, f"{what} address", address, now_address), command


def of_process(globals_text: str, info: Mapping[str, str]) -> Iterator[Correction]:
    """Yield limits of the whole process that are not those of the `global` sections."""
    most, now = info.get("Hard_maxconn", ""), info.get("Maxconn", "")
    if most != now:
        yield Mismatch("global", "maxconn", most, now), "set maxconn global 0"
    for field, (keyword, word, unit) in _LIMITS.items():
        if field not in info or not info[field].isdecimal():
            continue
        said = re.findall(rf"^[ \t]*{keyword}[ \t]+(\S+)", globals_text, re.MULTILINE)
        wanted = said[-1] if said else "0"
        if wanted.isdecimal() and int(wanted) * unit != int(info[field]):
            running = str(int(info[field]) // unit)
            yield (
                Mismatch("global", f"rate limit of {word}", wanted, running),
                f"set rate-limit {word} global {wanted}",
            )


def of_frontend(
    section: Section, base: Section | None, now: Frontend, process_limit: str
) -> Iterator[Correction]:
    """Yield what a command has changed of a frontend. `process_limit`: `Hard_maxconn`."""
    if now.status in _SHUT:
        command = f"enable frontend {now.name}" if now.status == "PAUSED" else ""
        yield Mismatch(now.name, "frontend", "open", _SHUT[now.status]), command
    said = _MAXCONN.search(section.text) or (_MAXCONN.search(base.text) if base else None)
    wanted = said[1] if said and said[1] != "0" else process_limit
    if (said is None or wanted.isdecimal()) and wanted and now.limit != wanted:
        command = f"set maxconn frontend {now.name} {wanted}"
        yield Mismatch(now.name, "maxconn", wanted, now.limit), command
