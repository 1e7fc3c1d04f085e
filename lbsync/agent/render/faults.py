"""From whatever a template raised to one sentence that names the template and its line."""

import re
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
    SyntaxError,
    TypeError,
    ValueError,
)
#: What Go writes within braces and Jinja does not: a keyword, a field or variable, a call without brackets.
_GO = re.compile(
    r"\{\{-?\s*(?:(?:range|if|with|else if|template|define|block)\b|\.[A-Za-z]|\$|\w+\s+[\"`(.$])"
)


def _line(traceback: TracebackType | None) -> str:
    """Return `template:line` of the innermost template that the error came through, or ''."""
    found = ""
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            line = template.get_corresponding_lineno(_code_line(traceback))
            found = f"{template.name}:{line}"
        traceback = traceback.tb_next
    return found


def _code_line(traceback: TracebackType) -> int:
    """Return the line of the code at which `traceback` stands.

    Python's own jumps have none, and the timer of `allowance` may interrupt there: the line before counts.
    """
    code, at = traceback.tb_frame.f_code, traceback.tb_lasti
    before = [line for start, _, line in code.co_lines() if line is not None and start <= at]
    return before[-1] if before else code.co_firstlineno


def located(error: Exception, name: str) -> LbsyncError:
    """Return `error` as one of ours, its place in the templates named.

    `name` is the output or template to blame when the error carries no place of its own. A
    refused value stays `Rejected` (and a bad key `BadKey`): its cure lies in the store, not in
    the template.
    """
    if isinstance(error, jinja2.TemplateSyntaxError | SyntaxError):
        return TemplateError(_of_syntax(error, name))
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


def _of_syntax(error: jinja2.TemplateSyntaxError | SyntaxError, name: str) -> str:
    if isinstance(error, SyntaxError):  # Python's, of the code that Jinja made
        return f"{error.filename or name}: {error.msg}; put parts of it into macros"
    return f"{error.name or name}:{error.lineno}: {error.message}{_hint(error)}"


def _hint(error: jinja2.TemplateSyntaxError) -> str:
    lines = (error.source or "").splitlines()
    if 0 < error.lineno <= len(lines) and _GO.search(lines[error.lineno - 1]):
        return "; this looks like a template of confd's, in Go's syntax: `lbsync import-confd` converts those"
    return ""
