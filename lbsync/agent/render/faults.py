"""From whatever a template raised to one sentence that names the template and its line."""

from types import TracebackType

import jinja2

from lbsync.agent.render.allowance import TOO_MUCH_MEMORY
from lbsync.errors import BadKey, ItemsRefused, LbsyncError, Rejected, TemplateError, TooCostly

#: What the code of a template can raise: our own refusals, Jinja's errors, and Python's for
#: operations on values of the wrong kind.
FAULTS = (
    LbsyncError,
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def _line(traceback: TracebackType | None) -> str:
    """Return `template:line` of the innermost template that the error came through, or ''."""
    found = ""
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            line = template.get_corresponding_lineno(traceback.tb_lineno)
            found = f"{template.name}:{line}"
        traceback = traceback.tb_next
    return found


def located(error: Exception, name: str) -> LbsyncError:
    """Return `error` as one of ours, its place in the templates named.

    `name` is the output or template to blame when the error carries no place of its own. A
    refused value stays `Rejected` (and a bad key `BadKey`): its cure lies in the store, not in
    the template.
    """
    if isinstance(error, jinja2.TemplateSyntaxError):
        return TemplateError(f"{error.name or name}:{error.lineno}: {error.message}")
    place = _line(error.__traceback__) or name
    if isinstance(error, ItemsRefused):
        return error  # each reason names its own place
    if isinstance(error, BadKey):
        return BadKey(error.key, f"{error.reason} (read by {place})")
    message = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        message = TOO_MUCH_MEMORY
    if isinstance(error, TooCostly):
        return type(error)(f"{place}: {message}")
    if isinstance(error, Rejected):
        return Rejected(f"{place}: {message}")
    return TemplateError(f"{place}: {message}")
