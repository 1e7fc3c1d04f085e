"""The agent's status compared with HAProxy's own: what `lbsync status` and `/status` say about this host."""

import time
from collections.abc import Iterator

import msgspec

from lbsync import liveness, verdict
from lbsync.clients.haproxy import capabilities, known_faults, sockets
from lbsync.clients.haproxy.capabilities import Ability
from lbsync.clients.haproxy.identity import reports_digest
from lbsync.clients.haproxy.options import from_settings
from lbsync.errors import Denied, Unavailable
from lbsync.settings import Settings
from lbsync.status import Status
from lbsync.verdict import Fact, Finding

_SLACK_S = 30.0
"""How much later than promised the agent may have read HAProxy back: a pass takes its time."""


class Serves(msgspec.Struct, frozen=True):
    """What HAProxy itself says, right now."""

    answers: bool
    detail: str
    """Its version and age, or why it does not answer."""
    agrees: bool = False
    """It serves the generation that the agent says."""
    description: str = ""
    """What `show info` gives as description: the digest of what is served is in it."""
    closed: bool = False
    """This user may not ask; only the agent's word is left."""
    version: str = ""
    """Of the HAProxy that runs; empty: it did not tell."""
    abilities: tuple[Ability, ...] = ()
    """What it can do, and what lbsync therefore does."""


class Judgement(msgspec.Struct, frozen=True):
    """What is known of this host, from both sides."""

    agent: Status
    doubt: str
    """Why the agent's word can no longer be believed; empty when it can."""
    haproxy: Serves
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, settings: Settings, found: Status) -> "Judgement":
        """Ask HAProxy, and judge. `found`: the agent's word."""
        doubt = liveness.doubt(found, time.time())
        serves = ask_haproxy(settings, found)
        return cls(found, doubt, serves, tuple(judge(found, doubt, serves)))

    def document(self) -> dict[str, object]:
        """Return it as `lbsync status --output json` prints it."""
        return {
            "agent": self.agent,
            "doubt": self.doubt,
            "haproxy": self.haproxy,
            "exit_code": verdict.code_of(self.findings),
            "degree": verdict.degree_of(self.findings).name,
            "findings": [str(finding) for finding in self.findings],
        }


def ask_haproxy(settings: Settings, found: Status) -> Serves:
    """Return what the running worker says of itself."""
    try:
        worker = sockets.worker(from_settings(settings))
        info = worker.show_info(retry_s=1.0)
        version = known_faults.parsed(info["Version"])
        abilities = capabilities.ask(worker, version).abilities() if version else ()
    except Denied as error:
        return Serves(False, str(error), closed=True)
    except Unavailable as error:
        return Serves(False, str(error))
    detail = f"HAProxy {info['Version']}, worker {info['Pid']}, up {info.get('Uptime', '?')}"
    description = info.get("description", "")
    digests = filter(None, (found.digest, found.base))
    agrees = any(reports_digest(info, digest) for digest in digests)
    return Serves(True, detail, agrees, description, version=info["Version"], abilities=abilities)


def judge(found: Status, doubt: str, serves: Serves) -> Iterator[Finding]:
    """Yield everything that is so on this host."""
    if doubt:
        yield Finding(Fact.NO_AGENT, doubt)
    if serves.answers and found.digest and not serves.agrees:
        yield Finding(Fact.OTHERWISE, serves.description or "no description")
    elif not serves.answers and not (serves.closed and just_read_back(found)):
        yield Finding(Fact.SILENT_HAPROXY, serves.detail)
    yield from verdict.of_status(found)


def just_read_back(found: Status) -> bool:
    """Tell whether the last read-back is as recent as the settings promise."""
    return time.time() - found.verified_at <= 2 * found.every + _SLACK_S
