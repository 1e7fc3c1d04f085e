"""`lbsync template ls|show|copy|diff`: the packaged templates, and the user's own."""

import argparse
from pathlib import Path

from lbsync import atomic
from lbsync.agent.desired.template_context import (
    make_renderer,
    own_templates,
    packaged_templates,
    templates_in,
)
from lbsync.cli.context import settings_of
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, Rejected, SettingsError, cannot
from lbsync.settings import Settings

_EPILOG = """\
examples:
  lbsync template ls                          all templates, and which are your own
  lbsync template show global.cfg.j2          the packaged version of a template
  lbsync template copy global.cfg.j2          copy it to [templates] directory, to change it there
  lbsync template diff                        what your own templates change, also after an upgrade

exit codes: 0 done; 3 'diff' shows a difference; 4 settings or templates are wrong; 5 there is no such template,
or a file of that name already exists.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show and copy the packaged templates, and compare your own with them."
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=type(parser))
    for name, action, text in (
        ("ls", _list, "list the templates"),
        ("show", _show, "print a packaged template"),
        ("copy", _copy, "copy a packaged template into [templates] directory"),
        ("diff", _diff, "compare your own templates with the packaged ones"),
    ):
        own = actions.add_parser(name, help=text, description=f"{name}: {text}.")
        if name in ("show", "copy"):
            own.add_argument("template", metavar="TEMPLATE", help="such as backend.cfg.j2")
        own.set_defaults(action=action)


def run(args: argparse.Namespace) -> Exit:
    """Carry out the action."""
    code: Exit = args.action(args, settings_of(args))
    return code


def packaged() -> dict[str, Path]:
    """Return the packaged templates by name."""
    root = packaged_templates()
    return {name: root / name for name in sorted(templates_in(root))}


def _list(args: argparse.Namespace, settings: Settings) -> Exit:  # noqa: ARG001 (an action's form)
    ours, own, used = packaged(), own_templates(settings), make_renderer(settings).templates

    def standing(name: str) -> str:
        if name not in own:
            return "packaged"
        if name in ours:
            return "yours, in place of the packaged one"
        return "yours" if name in used else "yours, but nothing uses it"

    Terminal().table(("TEMPLATE", "IS"), ((name, standing(name)) for name in sorted({*ours, *own})))
    return Exit.OK


def _show(args: argparse.Namespace, settings: Settings) -> Exit:  # noqa: ARG001 (an action's form)
    Terminal().write(_packaged(args.template).read_text())
    return Exit.OK


def _copy(args: argparse.Namespace, settings: Settings) -> Exit:
    source = _packaged(args.template)
    directory = settings.templates.directory
    if not directory:
        raise SettingsError(
            ["[templates] directory: name a directory for your own templates first"]
        )
    target = Path(directory) / args.template
    if target.exists():
        raise Rejected(f"{target}: is there already; 'lbsync template diff' compares")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace_file(target, source.read_bytes())
    except OSError as error:
        raise Rejected(f"{target}: {cannot('be written', error)}") from error
    Terminal().line(f"{target}: written; 'systemctl reload lbsync-agent' takes it, once changed")
    return Exit.OK


def _diff(args: argparse.Namespace, settings: Settings) -> Exit:  # noqa: ARG001 (an action's form)
    ours, terminal, differs = packaged(), Terminal(), False
    for name in sorted(own_templates(settings) & ours.keys()):
        own = Path(settings.templates.directory or "") / name
        differs |= terminal.diff(
            ours[name].read_text(), own.read_text(), f"{name} (packaged)", str(own)
        )
    return Exit.CHANGED if differs else Exit.OK


def _packaged(name: str) -> Path:
    found = packaged().get(name)
    if found is None:
        raise Rejected(f"there is no packaged template {name!r}; 'lbsync template ls' lists them")
    return found
