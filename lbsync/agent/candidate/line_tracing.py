"""Which key does a refused line depend on when nothing in the line shows it?

Found by rendering, which is cheap compared with `haproxy -c`: without its key a line disappears.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from lbsync.agent.desired.builder import DesiredBuilder
from lbsync.agent.desired.quarantine import Suspect
from lbsync.agent.desired.states import PassInput, RenderedState
from lbsync.agent.haproxycfg.lint import Finding
from lbsync.agent.section_kinds import KINDS
from lbsync.errors import Rejected, TemplateError
from lbsync.model.rendered import Rendered

#: Seconds that a search may spend on rendering.
_WITHIN_S = 2.0
Place = tuple[str, str, str]
"""File, first line of the section, and line."""


def traced(
    rendered: Rendered,
    findings: Iterable[Finding],
    suspects: Sequence[Suspect],
    render: Callable[[frozenset[Suspect]], Rendered | None],
) -> dict[Suspect, Finding]:
    """Return those of `suspects` on which the lines that HAProxy names depend.

    `render` returns the files with some suspects quarantined; None: it cannot. Suspects are numbered. For
    each bit, those with the bit set are taken out, then all others: which texts lack a line spells the
    number of its suspect. Two dozen renderings are enough for thousands of suspects and all lines at once;
    a line that depends on several spells nothing.
    """
    whole = _places(rendered)
    often = Counter(whole.values())
    named = {whole.get((each.file, each.line)): each for each in findings if each.line}
    targets = {place: 0 for place in named if place is not None and often[place] == 1}
    if not targets or not suspects:
        return {}
    for bit in range(max(1, (len(suspects) - 1).bit_length())):
        halves = []
        for value in (0, 1):
            trial = frozenset(s for i, s in enumerate(suspects) if i >> bit & 1 == value)
            if (there := render(trial)) is None:
                return {}
            halves.append(set(_places(there).values()))
        for place, number in list(targets.items()):
            missing = [place not in half for half in halves]
            if missing[0] == missing[1]:
                del targets[place]
            else:
                targets[place] = number | missing[1] << bit
    spelled = {number: place for place, number in targets.items() if number < len(suspects)}
    return {suspects[n]: why for n, place in spelled.items() if (why := named.get(place))}


def _places(rendered: Rendered) -> dict[tuple[str, int], Place]:
    """Return every printed line by file and number."""
    found: dict[tuple[str, int], Place] = {}
    for file in rendered.files:
        section = ""
        for number, line in enumerate(file.data.decode(errors="replace").split("\n"), 1):
            section = line if line.split(" ", 1)[0] in KINDS else section
            found[file.path, number] = file.path, section, line
    return found


def keys_behind(
    builder: DesiredBuilder,
    wanted: PassInput,
    state: RenderedState,
    findings: Iterable[Finding],
    keys: Iterable[str],
) -> dict[Suspect, Finding]:
    """Return those of `keys` on which refused lines depend, as far as found in time."""
    until = time.monotonic() + _WITHIN_S

    def render(trial: frozenset[Suspect]) -> Rendered | None:
        if time.monotonic() > until:
            return None
        with contextlib.suppress(Rejected, TemplateError):
            return builder.render(wanted, trial).rendered
        return None

    suspects = [Suspect("key", key) for key in keys]
    return traced(state.rendered, findings, suspects, render)
