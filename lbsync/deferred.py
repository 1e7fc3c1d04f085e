"""Libraries that take long to load and that most commands never need: loaded on first use."""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class Deferred:
    """Stands for a library's module. Beside the import that the type checker reads:

        if TYPE_CHECKING:
            import yaml
        else:
            yaml = Deferred("yaml")

    Any thread may be the first to use it: `importlib` locks each module. (`importlib.util.LazyLoader` does
    not before Python 3.11.8.)
    """

    def __init__(self, name: str, *, without: Sequence[str] = ()) -> None:
        """`name`: as `import` takes it. `without`: libraries that it uses where they are installed, and
        is not to load; for others they stay what they are."""
        self._name = name
        self._without = without
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._module or self._load(), attribute)

    def _load(self) -> ModuleType:
        hidden = [name for name in self._without if name not in sys.modules]
        # "If the corresponding value is None, then a ModuleNotFoundError is raised": the import system's manual.
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
        try:
            self._module = importlib.import_module(self._name)
            return self._module
        finally:
            for name in hidden:
                sys.modules.pop(name, None)
