"""A removal that is held: since when, until when, and remembered over a restart."""

import time

from lbsync.agent.control import Control, Request
from lbsync.agent.generations import Store
from lbsync.agent.guard import Hold
from lbsync.agent.sections import Config, Parser
from lbsync.agent.served import load, main_text
from lbsync.agent.trial import Found
from lbsync.settings import Agent as AgentSettings


class Holding:
    """Knows what is held, and when it may go."""

    def __init__(self, control: Control, settings: AgentSettings) -> None:
        """`settings` may be exchanged at any time."""
        self._control = control
        self.settings = settings
        self.hold: Hold | None = None
        self._since = 0.0

    def let_go(self, hold: Hold) -> bool:
        """Tell whether a removal was confirmed, or has waited for as long as the settings say."""
        request = self._control.get("confirm")
        if request is not None and request.value == hold.id:
            return True
        release = self.settings.guard_release
        if release is None or self.hold is None:
            return False
        return time.time() - self._since >= release.seconds

    def note(self, hold: Hold | None) -> None:
        """Remember what is held now, on disk, too."""
        if hold is not None and self.hold is None:
            self._since = time.time()
        self.hold = hold
        total = str(hold.total) if hold else ""
        standing = self._control.get("held")
        if total and (standing is None or standing.value != total):
            self._control.set("held", Request(total, ""))
        elif not total and standing is not None:
            self._control.forget("held")

    def standing(self) -> int:
        """Return how many servers there were when a hold began that stood when the last agent
        ended; 0: none did."""
        found = self._control.get("held")
        return int(found.value) if found and found.value.isdecimal() else 0

    def waits(self) -> list[float]:
        """Return after how many seconds a hold goes by itself; nothing where it does not."""
        release = self.settings.guard_release
        if self.hold is None or release is None:
            return []
        return [max(0.0, self._since + release.seconds - time.time())]

    def judge(self, found: Found, store: Store, parser: Parser, *, blind: bool) -> Hold | None:
        """Return what is to be held, and remember it. `blind`: entries do not tell of all servers."""
        hold = found.plan.hold
        if hold is None and blind and not found.plan.let_go:
            hold = self._by_files(found, store, parser)
        self.note(hold)
        return hold

    def _by_files(self, found: Found, store: Store, parser: Parser) -> Hold | None:
        """Guard a removal by what the live file serves: where entries tell nothing of it.

        Nothing can be held service by service then, so all of it waits.
        """
        live = store.live()
        percent = self.settings.guard_percent
        if found.staged is None or live is None or percent >= 100:
            return None
        if live.meta.confirmed_at is None:
            return None  # what lets HAProxy start for the first time serves nothing
        config = parser.parse(main_text(load(live)))
        # Counted in the files, since templates of raw keys know of no services.
        before, after = _servers(config), _servers(found.config)
        if (before - after) * 100 <= before * percent:
            return None
        hold = Hold(live.digest, {"counted in haproxy.cfg": (before, after)}, before)
        return None if self.let_go(hold) else hold


def _servers(config: Config) -> int:
    return sum(len(placed.section.servers) for placed in config.placed)
