"""The agent's files besides the source: settings, templates, certificates, operators' requests."""

from collections.abc import Callable
from pathlib import Path

from lbsync.clients.files.contents import Names
from lbsync.clients.files.notices import Notices
from lbsync.settings import DEFAULT_FILE, Settings


class Watches:
    """Wakes the loop when one of them changes. They carry nothing: a pass reads all it needs."""

    def __init__(
        self, config: Path | None, *, wake: Callable[[], None], reread: Callable[[], None]
    ) -> None:
        """`config`: the settings file that was named, if any."""
        self._file = Path(config or DEFAULT_FILE).absolute()
        self._rereads = Notices(reread)
        self._wakes = Notices(wake)

    def follow(self, settings: Settings) -> None:
        """Watch what these settings name, instead of what others named before."""
        # An editor, and Kubernetes' ConfigMaps (`..data`), replace the file: so its directory.
        rereads: dict[Path, Names] = {self._file.parent: frozenset({self._file.name, "..data"})}
        if settings.templates.directory:
            rereads[Path(settings.templates.directory)] = None
        control = Path(settings.state_dir) / "control"
        control.mkdir(parents=True, exist_ok=True)
        wakes: dict[Path, Names] = {control: None}
        if settings.proxy.certificates:
            wakes[Path(settings.proxy.certificates)] = None
        self._rereads.watch(rereads)
        self._wakes.watch(wakes)

    def close(self) -> None:
        """Stop watching."""
        self._rereads.close()
        self._wakes.close()
