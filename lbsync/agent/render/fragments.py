"""`each`: one template, many items, and no work for those that did not change.

Items are frozen and live on from pass to pass while nothing changed, so identity tells. The text of
an item depends on the item, the template and the constants alone; the latter two never change in
the life of a renderer.
"""

from collections.abc import Callable, Iterable
from dataclasses import is_dataclass

from jinja2 import Environment, Template
from jinja2.runtime import Context

from lbsync.agent.render.allowance import Allowance
from lbsync.agent.render.faults import FAULTS, located
from lbsync.agent.render.text import Quoted
from lbsync.errors import BadKey, ItemsRefused, ItemTooCostly, LbsyncError, TooCostly
from lbsync.model.desired import Backend, Profile, Service

_Kept = dict[int, tuple[object, str]]
"""Identity of an item to the item itself (so that the identity stays taken) and its text."""


#: Renders that fail leave what was rendered early where it is.
_MOST_EARLY = 50_000


class Fragments:
    """Renders items by a fragment template, and keeps what the latest render used."""

    def __init__(
        self, environment: Environment, finish: Callable[[str], str], allowance: Allowance
    ) -> None:
        self._environment = environment
        self._finish = finish
        self._allowance = allowance
        self._kept: dict[str, _Kept] = {}
        self._used: dict[str, _Kept] = {}
        self._early: dict[tuple[str, int], tuple[object, str]] = {}
        """What was rendered since the latest render, by template and identity."""
        self._frozen: dict[type, bool] = {}
        self._ready: dict[str, tuple[Template, Context]] = {}
        """Templates and contexts that no rendering uses now, by name."""

    def begin(self) -> None:
        """Start a render: nothing is used yet."""
        self._used = {}

    def commit(self) -> None:
        """End a render that went well: forget what it did not use."""
        self._kept = self._used
        self._early.clear()

    def each(self, template_name: str, items: Iterable[object]) -> Quoted:
        """Render `template_name` for each of `items`, which it sees as `item`; join the texts.

        The template sees the constants and the functions that depend on nothing else; neither
        the rest of the context nor the store's keys. Raises `ItemsRefused` if items of some
        services cannot be printed and others can, so that these alone are quarantined.
        """
        name = str(template_name)
        kept = self._kept.get(name, {})
        used = self._used.setdefault(name, {})
        items = list(items)
        identities = list(map(id, items))
        # All at once: of ten thousand items one has changed, and a loop over them takes three times as long.
        entries = list(map(kept.get, identities))
        faults: dict[str, LbsyncError] = {}
        passing: list[int] = []
        for number in [n for n, entry in enumerate(entries) if entry is None]:
            item, identity = items[number], identities[number]
            entry = self._early.get((name, identity)) or used.get(identity)
            if entry is None:
                try:
                    entry = item, self._render(name, item)
                except LbsyncError as error:
                    if isinstance(error, TooCostly) and not isinstance(error, ItemTooCostly):
                        raise
                    faults[_service(item)] = error
                    continue
                if self._is_frozen(type(item)):
                    used[identity] = entry
                else:
                    passing.append(identity)
            entries[number] = entry
        found = [entry for entry in entries if entry is not None]
        if faults:
            raise _together(faults, some=bool(found))
        used.update(zip(identities, found, strict=True))
        for identity in passing:
            used.pop(identity, None)
        return Quoted("".join([text for _, text in found]))

    def early(self, template_name: str, items: Iterable[object]) -> list[str]:
        """Return the text of each item, from the latest render where it was in there; the next render
        finds what was not."""
        kept = self._kept.get(template_name, {})
        if len(self._early) > _MOST_EARLY:
            self._early.clear()
        texts = []
        for item in items:
            key = template_name, id(item)
            entry = kept.get(id(item)) or self._early.get(key)
            if entry is None:
                entry = item, self._render(template_name, item)
                if self._is_frozen(type(item)):
                    self._early[key] = entry
            texts.append(entry[1])
        return texts

    def _render(self, name: str, item: object) -> str:
        # Taken out meanwhile: an item may render others by the same template.
        known = self._ready.pop(name, None)
        ready = template, context = self._prepared(name) if known is None else known
        context.parent["item"] = item
        context.blocks = {block: [function] for block, function in template.blocks.items()}
        try:
            self._allowance.begin_item()
            return self._finish("".join(template.root_render_func(context)))
        except FAULTS as error:
            raise _about(item, located(error, name)) from error
        finally:
            self._allowance.end_item()
            context.vars.clear()
            context.exported_vars.clear()
            self._ready[name] = ready

    def _prepared(self, name: str) -> tuple[Template, Context]:
        """Return a template and a context for one item after the other: to make one for each of ten thousand, with
        all global names in it, takes as long as to print a line of a map."""
        template: Template = self._environment.get_template(name)
        names = dict(self._environment.globals)
        return template, Context(self._environment, names, template.name, {})

    def _is_frozen(self, kind: type) -> bool:
        """Tell whether items of `kind` cannot change, so that identity stands for content."""
        known = self._frozen.get(kind)
        if known is None:
            config = getattr(kind, "__struct_config__", None)
            parameters = getattr(kind, "__dataclass_params__", None) if is_dataclass(kind) else None
            known = self._frozen[kind] = (
                issubclass(kind, str | int | tuple)
                or bool(getattr(config, "frozen", False))
                or bool(getattr(parameters, "frozen", False))
            )
        return known


def _service(item: object) -> str:
    """Return the service that an item is, or is a part of, or the profile; empty if it is neither."""
    if isinstance(item, Service):
        return item.id
    if isinstance(item, Profile):
        return item.name
    return item.service if isinstance(item, Backend) else ""


def _together(faults: dict[str, LbsyncError], *, some: bool) -> LbsyncError:
    """Return what to raise; `some` other items went well, so that the template is not at fault."""
    first = next(iter(faults.values()))
    if "" in faults or not some or any(isinstance(error, BadKey) for error in faults.values()):
        return first
    costly = any(isinstance(error, TooCostly) for error in faults.values())
    return ItemsRefused({service: str(e) for service, e in faults.items()}, costly=costly)


def _about(item: object, error: LbsyncError) -> LbsyncError:
    """Return `error` with the item's name in it, as far as it has one."""
    name = getattr(item, "name", None)
    if isinstance(error, BadKey) or not isinstance(name, str):
        return error
    return type(error)(f"{error} (item {name!r})")
