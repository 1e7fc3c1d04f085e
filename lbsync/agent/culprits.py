"""Who is held back when not all can be rendered, or HAProxy refuses what all of them make together.

One bad service never stops the others: it stays at its last good version, by name and with the reason.
"""

import re
import time
from collections.abc import Callable

from lbsync import log
from lbsync.agent import blame
from lbsync.agent.rules import Finding
from lbsync.agent.settle import Bar, Plan, Question, Settled, Settler
from lbsync.agent.validate import Refused
from lbsync.errors import BadKey, ItemsRefused, LbsyncError
from lbsync.schema.keys import ServiceId

#: Seconds after which a service that was held back is tried again as it is: a port may be free by
#: then, another service gone.
_TRY_AGAIN_S = 60.0
_CERTIFICATE = re.compile(r"certs/([A-Za-z0-9][A-Za-z0-9._-]*\.(?:pem|crt))")

Does = Callable[[set[ServiceId]], bool]
"""Tells whether it goes well with these services held back."""


class Culprits:
    """Bars services and certificates in the settler; each call bars more, or raises."""

    def __init__(self, settler: Settler) -> None:
        self._settler = settler
        self._told = log.News()

    def begin(self) -> None:
        """Forget what was said of services that are not barred any more."""
        self._told.keep(set(map(str, self._settler.bars)))

    def unprintable(self, question: Question, error: LbsyncError, prints: Does) -> None:
        """Hold back whoever cannot be rendered; raise the error where it is nobody's fault."""
        settler = self._settler
        if isinstance(error, BadKey):
            if settler.raw is None or not settler.raw.bar(question.snapshot, error):
                raise error
            return
        settled = settler.settle(question.snapshot, question.accepted, question.let_go)
        reasons = error.reasons if isinstance(error, ItemsRefused) else {}
        if not reasons:
            suspects = blame.changed_services(settled.entries, question.accepted)
            reasons = dict.fromkeys(map(str, blame.bisect(suspects, prints)), str(error))
        found = {ServiceId.parse(name): Finding("", 0, "", why) for name, why in reasons.items()}
        self._bar(question, settled, found, error, most=len(settled.desired.services) - 1)

    def refused(self, question: Question, plan: Plan, refusal: Refused, accepts: Does) -> None:
        """Hold back whoever HAProxy refuses; raise the refusal when that is nobody, or nearly all."""
        settler = self._settler
        reasons = _accused(plan, refusal.findings)
        contents = {file.path: file.data for file in plan.rendered.files}
        certificates = {
            name
            for name in _certificates(refusal.findings)
            # One that was bad before, was mended, and is bad again is news.
            if settler.barred_certificates.get(name) != contents.get(f"certs/{name}", b"")
        }
        most = len(plan.desired.services) - 1
        if not reasons and not certificates:
            suspects = blame.changed_services(plan.entries, question.accepted)
            reasons = dict.fromkeys(blame.bisect(suspects, accepts), refusal.findings[0])
            most //= 2
        if reasons or not certificates:
            self._bar(question, plan, reasons, refusal, most)
        for name in certificates:
            settler.barred_certificates[name] = contents.get(f"certs/{name}", b"")
            log.get().error(f"HAProxy does not take certificate {name}: {refusal}")

    def _bar(
        self,
        question: Question,
        found: Plan | Settled,
        reasons: dict[ServiceId, Finding],
        refusal: LbsyncError,
        most: int,
    ) -> None:
        """Bar services for these reasons; raise the refusal when none of them is new, or when more
        than `most` would be barred: then it is not theirs."""
        bars = self._settler.bars
        fresh = {service: why for service, why in reasons.items() if service not in bars}
        if not fresh or len(bars) + len(fresh) > max(3, most):
            raise refusal
        for service, finding in fresh.items():
            mark = blame.fingerprint(found.entries, service)
            until = time.monotonic() + _TRY_AGAIN_S
            bars[service] = Bar(mark, str(finding), finding.line, until)
            self._tell(question, service, finding)

    def _tell(self, question: Question, service: ServiceId, finding: Finding) -> None:
        """Say it once, and not at each new try; the status goes on to say it."""
        had = f"services/{service}" in question.accepted
        state = "is held at its last good version" if had else "is left out"
        say = log.get().error if self._told.of(str(service), finding.text) else log.get().debug
        say(f"{service} {state}: {finding}", service=str(service))


def _accused(plan: Plan, findings: tuple[Finding, ...]) -> dict[ServiceId, Finding]:
    owners = blame.section_owners(plan.desired)
    accused: dict[ServiceId, Finding] = {}
    for finding in findings:
        if finding.section in owners:
            accused.setdefault(ServiceId.parse(owners[finding.section]), finding)
    return accused


def _certificates(findings: tuple[Finding, ...]) -> set[str]:
    return {name for finding in findings for name in _CERTIFICATE.findall(finding.text)}
