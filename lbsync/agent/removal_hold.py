"""A held removal: since when, until when, and remembered across a restart."""

import msgspec

from lbsync import log
from lbsync.agent import boot
from lbsync.agent.candidate.candidates import Candidate
from lbsync.agent.control import Control, Request
from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.desired.states import RenderedState
from lbsync.agent.generations.read import parsed
from lbsync.agent.generations.store import Store
from lbsync.agent.guard.guard import Baseline, Guard, Hold
from lbsync.agent.haproxycfg.config import Config, Parser
from lbsync.decoders import decode
from lbsync.schema.confirming import Confirmations
from lbsync.settings import Settings


class _Note(msgspec.Struct, frozen=True):
    """What the next agent has to know about a hold."""

    total: int
    services: frozenset[str]
    since: float
    """On the clock of `boot.now`."""
    boot: str


class RemovalHold:
    """Knows which removal is held, and when it may go."""

    def __init__(self, control: Control, settings: Settings, accepted: AcceptedStore) -> None:
        """`accepted`: where the guard's memory is kept."""
        self._control = control
        self._accepted = accepted
        self.hold: Hold | None = None
        self._note = self._read()
        agent = settings.agent
        self.guard = Guard(agent.guard_percent, agent.guard_window.seconds)
        accepted.recall(self.guard.window)
        if self._note is not None:
            self.guard.baseline = Baseline(self._note.total, self._note.services)
        self.configure(settings)
        self._confirmed: dict[str, int] = {}
        self._used: set[tuple[str, int]] = set()
        """Ids of removals, and which revision confirmed them, for what is over."""

    def configure(self, settings: Settings) -> None:
        """Follow these settings from the next pass on; a hold stays."""
        self._settings = settings.agent
        self.guard.percent = settings.agent.guard_percent
        self.guard.window.seconds = settings.agent.guard_window.seconds
        self.guard.tls_in_front = bool(settings.proxy.trusted_proxies)

    def is_approved(self, hold: Hold, confirmed: int = 0) -> bool:
        """Tell whether a removal was confirmed, or has waited as long as the settings say.

        `confirmed`: revision of the store that confirmed it for the whole fleet; 0: none did. It counts
        for the removal that was held then, and approves none that is the same again later.
        """
        request = self._control.get("confirm")
        if request is not None and request.value == hold.id:
            return True
        if confirmed and (hold.id, confirmed) not in self._used:
            self._confirmed[hold.id] = confirmed
            return True
        release = self._settings.guard_release
        if release is None or self._note is None:
            return False
        return boot.now() - self._note.since >= release.seconds

    def note(self, hold: Hold | None, approved: Hold | None = None) -> None:
        """Remember the hold, also on disk.

        An approved removal stays noted until it is done: if that fails, the wait does not start again.
        """
        self.hold = hold
        if hold is None and approved is None:
            self._forget()
        elif hold is not None:
            since = self._note.since if self._note is not None else boot.now()
            self._write(_Note(hold.total, hold.removed, since, boot.boot_id()))

    def served(self, state: RenderedState) -> None:
        """Save what runs now for the guard, also over a restart. Raises `StateError`."""
        window = self.guard.window
        window.runs(state.desired.services, boot.now())
        if state.approved is not None:
            window.forget_past(state.approved.left)
            self.done(state.approved)
        self._accepted.remember(window)

    def done(self, gone: Hold) -> None:
        """Note that a held removal is served now."""
        self.guard.baseline = None
        log.get().info(
            f"a held removal ({gone.id}) was let through: {self._why(gone)}", request="confirm"
        )
        request = self._control.get("confirm")
        if request is not None and request.value == gone.id:
            self._control.confirmed(request)
        if gone.id in self._confirmed:
            self._used.add((gone.id, self._confirmed.pop(gone.id)))
        self._forget()

    def _why(self, gone: Hold) -> str:
        request = self._control.get("confirm")
        if request is not None and request.value == gone.id:
            return f"confirmed on this host by {request.by or 'somebody'}"
        if gone.id in self._confirmed:
            return "confirmed in the store, where `confirmations/` says by whom"
        return "it has waited for as long as `guard_release` says"

    def age(self) -> float:
        """Return the age of the hold in seconds; 0.0 if there is none."""
        return boot.now() - self._note.since if self._note is not None else 0.0

    def waits(self) -> list[float]:
        """Return in how many seconds the hold is released by itself; empty: it is not."""
        release = self._settings.guard_release
        if self.hold is None or release is None or self._note is None:
            return []
        return [max(0.0, self._note.since + release.seconds - boot.now())]

    def judge(
        self, candidate: Candidate, store: Store, parser: Parser, *, blind: bool
    ) -> Hold | None:
        """Return the hold, and remember it. `blind`: entries do not show all servers."""
        state = candidate.state
        hold, removal = state.hold, state.hold or state.approved
        if removal is None and blind:
            removal = self._by_files(candidate, store, parser)
            is_approved = removal and self.is_approved(
                removal, state.confirmed.revision(removal.id)
            )
            hold = None if is_approved else removal
        if removal is None:
            self.over(state.confirmed)
        self.note(hold, state.approved)
        return hold

    def over(self, confirmed: Confirmations) -> None:
        """Note that no removal is to be held any more, or none was: who confirmed one by its id meant that.

        The same number of servers may go again within the hour for which a confirmation stands.
        """
        self._used = {(hold_id, revision) for hold_id, (revision, _) in confirmed.found.items()}

    def _read(self) -> _Note | None:
        """Return what the last agent noted; after a reboot its time starts again."""
        found = self._control.get("held")
        try:
            note = decode(found.value, _Note) if found is not None else None
        except msgspec.DecodeError:
            return None
        if note is not None and note.boot != boot.boot_id():
            return msgspec.structs.replace(note, since=boot.now(), boot=boot.boot_id())
        return note

    def _write(self, note: _Note) -> None:
        if note != self._note:
            self._control.set("held", Request(msgspec.json.encode(note).decode(), ""))
        self._note = note

    def _forget(self) -> None:
        if self._note is not None:
            self._control.forget("held")
        self._note = None

    def _by_files(self, candidate: Candidate, store: Store, parser: Parser) -> Hold | None:
        """Guard by what the live file serves, where entries do not show it; then everything waits."""
        live = store.live()
        percent = self._settings.guard_percent
        if candidate.is_live or live is None or percent >= 100:
            return None
        if live.meta.confirmed_at is None:
            return None  # what `prepare` left for HAProxy's first start serves nothing
        # Counted in the files, as templates of raw keys have no services.
        before, after = (
            receiving_servers(parsed(live, parser).config),
            receiving_servers(candidate.config),
        )
        if (before - after) * 100 <= before * percent:
            return None
        return Hold(live.digest, {"counted in haproxy.cfg": (before, after)}, before)


def receiving_servers(config: Config) -> int:
    """Return how many servers take requests: not those in maintenance or of weight 0."""
    servers = (server for placed in config.placed for server in placed.section.servers)
    return sum(not server.disabled and server.weight != 0 for server in servers)
