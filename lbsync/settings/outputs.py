"""The sections for templates: [templates] and [[outputs]]."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.basic import Command, Duration, FileMode, FilePath

MAIN_FILE = "haproxy.cfg"
"""The output that HAProxy is started with."""


class Templates(msgspec.Struct, frozen=True):
    """Where templates come from."""

    directory: Annotated[
        FilePath | None,
        Meta(description="Directory of your own templates; one with the name of a packaged template "
             "(`backends.cfg.j2`, `maps/routes.map.j2`) takes its place. Empty: the packaged ones only."),
    ] = None  # fmt: skip
    packaged: Annotated[
        bool,
        Meta(description="Render the packaged set of haproxy.cfg and its maps. `false`: an output "
             "of yours brings haproxy.cfg."),
    ] = True  # fmt: skip
    contract: Annotated[
        bool,
        Meta(description="Read the keys by lbsync's contract. `false`: keys below the prefix belong to "
             "another tool and are only there for `getv`, `gets`, `ls`; none is decoded, refused or "
             "reported under `quarantine/`, and templates see no services. Needs `packaged = false`."),
    ] = True  # fmt: skip
    time_limit: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "30s"},
             description="So much processor time a template may take for its output, and for each item of "
             "`each`; then it is stopped and named, and the last good configuration stays. A service whose "
             "item takes longer is quarantined alone. 5s: many times what 10,000 services take."),
    ] = Duration(5_000)  # fmt: skip


class Output(msgspec.Struct, frozen=True):
    """One more file to render from a template of yours."""

    template: Annotated[
        str, Meta(min_length=1, description="Name of the template, relative to `directory`.")
    ]
    path: Annotated[
        str,
        Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$",
             description="Where the result goes. Relative: inside the generation, beside "
             "haproxy.cfg, and live with it. Absolute: installed there, after its check."),
    ]  # fmt: skip
    owner: Annotated[
        str, Meta(description="Owner of an installed file. Empty: the agent's user.")
    ] = ""
    group: Annotated[
        str, Meta(description="Group of an installed file. Empty: the agent's group.")
    ] = ""
    mode: Annotated[
        FileMode, Meta(description="Permission bits, as an octal string.")
    ] = FileMode(0o644)  # fmt: skip
    quote: Annotated[
        Literal["haproxy", "map", "strict", "none"],
        Meta(description="What is done to each value that is printed: quoted for haproxy.cfg, "
             "checked for a map file, refused unless it is plain letters, digits and `. _ : / @ -` "
             "(`strict`), or nothing. `strict`: safe in any format that nobody thought of."),
    ] = "strict"  # fmt: skip
    check: Annotated[
        Command,
        Meta(description="Run before an installed file is put in place; anything but exit code 0 "
             "refuses it. `{src}` stands for the new file. Empty: no check."),
    ] = Command()  # fmt: skip
    reload: Annotated[
        Command,
        Meta(description="Run after an installed file was put in place. `{dest}` stands for it. "
             "Empty: nothing."),
    ] = Command()  # fmt: skip
    left: Annotated[
        str,
        Meta(min_length=1, max_length=10,
             description="What opens an expression. This and the next five: others than Jinja's, for "
             "a file that is itself full of `{{`, `{%` or `{#`, as log-formats in JSON are; they hold "
             "for the template and for all that it includes."),
    ] = "{{"  # fmt: skip
    right: Annotated[
        str, Meta(min_length=1, max_length=10, description="What closes an expression.")
    ] = "}}"
    block_left: Annotated[
        str, Meta(min_length=1, max_length=10, description="What opens a tag like `{% if x %}`.")
    ] = "{%"
    block_right: Annotated[
        str, Meta(min_length=1, max_length=10, description="What closes a tag.")
    ] = "%}"
    comment_left: Annotated[
        str, Meta(min_length=1, max_length=10, description="What opens a comment.")
    ] = "{#"
    comment_right: Annotated[
        str, Meta(min_length=1, max_length=10, description="What closes a comment.")
    ] = "#}"
