"""Where templates come from: a list of directories, the first one that has the file wins.

So a user's directory replaces single sections of the packaged set. Each file is read once in a
loader's life; a change on disk is seen by the next renderer, never by a running one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import BaseLoader, Environment, TemplateNotFound

from lbsync.errors import TemplateError


class ShadowingLoader(BaseLoader):
    """Finds `name` in the first of `directories` that holds it."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = tuple(directories)
        self._sources: dict[str, tuple[str, str]] = {}

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return source and file name of `template`.

        Raises `jinja2.TemplateNotFound`, or `TemplateError` when the file cannot be read.
        """
        del environment
        if template not in self._sources:
            self._sources[template] = self._read(template)
        source, filename = self._sources[template]
        return source, filename, None

    def _read(self, name: str) -> tuple[str, str]:
        steps = name.split("/")
        if any(step in ("", ".", "..") for step in steps):
            raise TemplateError(
                f"template {name!r}: give a path below the template directory, without '..'"
            )
        for directory in self.directories:
            path = directory.joinpath(*steps)
            if not path.is_file():
                continue
            try:
                return path.read_bytes().decode(), str(path)
            except UnicodeDecodeError as error:
                raise TemplateError(f"{path}: not UTF-8 at byte {error.start}") from error
            except OSError as error:
                raise TemplateError(f"{path}: {error.strerror}") from error
        places = ", ".join(str(directory) for directory in self.directories)
        raise TemplateNotFound(name, f"no template {name!r} in {places}")
