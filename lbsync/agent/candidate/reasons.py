"""The messages about quarantined suspects, and how long they wait for another attempt."""

from lbsync.agent.candidate.validate import Refused
from lbsync.agent.haproxycfg.lint import Finding, unplaced
from lbsync.errors import ItemsRefused, LbsyncError, TooCostly

_PATIENCE = 10.0


def first(error: LbsyncError) -> Finding:
    """Return what an error says first."""
    return error.findings[0] if isinstance(error, Refused) else unplaced(str(error))


def untried(error: LbsyncError) -> Finding:
    """Return what is said about suspects that may be good but were not tried."""
    return unplaced(
        "it was not tried yet, as many changes are refused at once; it is tried again in a few "
        f"seconds ({first(error)})"
    )


def patience(error: LbsyncError) -> float:
    """Return how many times longer than usual to wait for another try: each try of a template that takes
    too long uses up its whole time limit."""
    is_costly = isinstance(error, TooCostly) or (isinstance(error, ItemsRefused) and error.costly)
    return _PATIENCE if is_costly else 1.0
