"""Libraries that take long to load and that most commands never need: loaded when they are first used."""

import importlib
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

    def __init__(self, name: str) -> None:
        """`name`: as `import` takes it."""
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
