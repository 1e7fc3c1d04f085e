"""Taking over new settings and templates between two passes."""

from collections.abc import Callable

from lbsync import log
from lbsync.loop.attempts import Attempts
from lbsync.loop.schedule import Pace
from lbsync.loop.service_state import ServiceState


class SettingsReload:
    """Whether settings are to be read again, and why the last attempt failed."""

    def __init__(self, reload: Callable[[], Pace] | None) -> None:
        """`reload`: see `Loop`; None: settings are only read at the start."""
        self._reload = reload
        self.is_requested = False
        self.error = ""
        """Why new settings or templates are not in force; empty: they are."""

    def run(self, attempts: Attempts, service: ServiceState) -> Pace | None:
        """Read the settings; return their pace, or None if the old ones stay in force."""
        self.is_requested = False
        if self._reload is None:
            return None
        with service.reloading():
            pace, self.error = attempts.call("reload", self._reload)
            if pace is not None:
                log.get().info("settings and templates were read again")
            else:
                log.get().error(f"settings were not taken over, the old ones hold: {self.error}")
        return pace
