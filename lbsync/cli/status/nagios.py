"""`lbsync status --nagios`: one line and a state, like plug-ins for Nagios and Icinga."""

from collections.abc import Mapping, Sequence

from lbsync import verdict
from lbsync.status import Status
from lbsync.verdict import Degree, Finding

_MOST = 3
_MOST_WORDS = 200


def line(findings: Sequence[Finding], well: str, figures: Mapping[str, str]) -> str:
    """Return the line: the degree, the gravest findings, and figures for graphs.

    `well`: what is said where nothing is found.
    """
    worst = sorted(findings, key=lambda finding: verdict.GRAVITY.index(finding.fact.code))
    said = [str(finding)[:_MOST_WORDS] for finding in worst[:_MOST]]
    if len(worst) > _MOST:
        said.append(f"and {len(worst) - _MOST} more")
    # A `|` begins the figures, and there is no way to write one otherwise.
    text = " ".join("; ".join(said or [well]).replace("|", "/").split())
    perfdata = " ".join(f"{name}={value}" for name, value in figures.items())
    return f"LBSYNC {verdict.degree_of(findings).name} - {text} | {perfdata}"


def unknown(error: Exception) -> str:
    """Return the line where nothing can be told."""
    return f"LBSYNC {Degree.UNKNOWN.name} - {' '.join(str(error).replace('|', '/').split())}"


def figures(found: Status, now: float) -> dict[str, str]:
    """Return what a host's graphs show. `now`: seconds since 1970."""
    return {
        "services": str(found.services),
        "servers": str(found.servers),
        "quarantined": str(len(found.quarantined)),
        "held_by_hand": str(found.by_hand_count),
        "old_workers": str(found.old_workers),
        "verified_ago": f"{max(0.0, now - found.verified_at):.0f}s" if found.verified_at else "U",
        "reloads": f"{found.reloads}c",
        "healed": f"{found.healed}c",
    }
