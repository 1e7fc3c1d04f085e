"""What wakes the agent in addition to the source: settings, templates, HAProxy's program, certificates, requests
of operators, and HAProxy when it ends or restarts."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from lbsync.atomic import FileMark, mark
from lbsync.clients.files.contents import Names
from lbsync.clients.files.notices import Notices
from lbsync.clients.haproxy.master_watch import MasterWatch
from lbsync.settings import DEFAULT_FILE, Settings

Marks = frozenset[tuple[str, FileMark]]
"""Path and mark of each file."""


def _marks(files: Iterable[Path], templates: str | None) -> Marks:
    """Return the marks of files and of the templates, if they are readable."""
    found = set()
    for path in [*files, *(Path(templates).rglob("*") if templates else ())]:
        with contextlib.suppress(OSError):
            found.add((str(path), mark(path.stat())))
    return frozenset(found)


class Watches:
    """Wakes the loop when one of them changes, without data: a pass reads all it needs."""

    def __init__(
        self,
        config: Path | None,
        *,
        wake: Callable[[], None],
        reread: Callable[[], None],
        reloads: Callable[[], bool],
    ) -> None:
        """`config`: the settings file that was named, if any. `reloads` tells whether the agent itself
        reloads HAProxy right now."""
        self._file = Path(config or DEFAULT_FILE).absolute()
        self._templates: str | None = None
        self._program = Path()
        self._seen: Marks = frozenset()
        self._rereads = Notices(reread)
        self._wakes = Notices(wake)
        self._master_watch = MasterWatch(wake, reloads)

    def follow(self, settings: Settings) -> None:
        """Watch what these settings name, instead of what others named before."""
        # An editor, and Kubernetes' ConfigMaps (`..data`), replace the file: so its directory.
        rereads: dict[Path, Names] = {self._file.parent: frozenset({self._file.name, "..data"})}
        self._templates = settings.templates.directory
        self._program = Path(settings.haproxy.binary)
        self._seen = self._marks()
        # Another release understands other words.
        rereads.setdefault(self._program.parent, frozenset({self._program.name}))
        if settings.templates.directory:
            rereads[Path(settings.templates.directory)] = None
        control = Path(settings.state_dir) / "control"
        control.mkdir(0o750, parents=True, exist_ok=True)
        # The lock file is watched because it is removed with everything else, if at all. For each change
        # something is written beside it.
        wakes: dict[Path, Names] = {control: None, control.parent: frozenset({"agent.lock"})}
        if settings.proxy.certificates:
            wakes[Path(settings.proxy.certificates)] = None
        if settings.proxy.stats_users_file:
            users = Path(settings.proxy.stats_users_file)
            names = wakes.get(users.parent, frozenset())
            wakes[users.parent] = names if names is None else names | {users.name, "..data"}
        self._rereads.watch(rereads)
        self._wakes.watch(wakes, removals=[control.parent])
        self._master_watch.follow(settings.haproxy.master_socket or "")

    def overlooked(self) -> bool:
        """Tell, once, whether settings, templates or HAProxy's program changed since this was last asked.

        A directory that is removed and created again loses its watch, and a watch may fail; so this is
        also checked after each pass.
        """
        before, self._seen = self._seen, self._marks()
        return before != self._seen

    def _marks(self) -> Marks:
        return _marks((self._file, self._program), self._templates)

    def close(self) -> None:
        """End all threads of the watches, and wait for them."""
        self._rereads.close()
        self._wakes.close()
        self._master_watch.close()
