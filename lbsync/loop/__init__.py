"""Wait, run a pass, report: the only loop, and the only broad `except` (`attempts`), of a long-running command.

A pass is any callable; what wakes the loop carries no data. See `run.Loop`.
"""

from lbsync.loop.notify import Notifier
from lbsync.loop.outcome import Outcome, Report
from lbsync.loop.run import Loop
from lbsync.loop.schedule import Pace, Schedule
from lbsync.loop.waker import Waker

__all__ = ["Loop", "Notifier", "Outcome", "Pace", "Report", "Schedule", "Waker"]
