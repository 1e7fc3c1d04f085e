"""The sections for templates: [templates] and [[outputs]]."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.basic import Command, Duration, FileMode, FilePath

MAIN_FILE = "haproxy.cfg"
"""The output that HAProxy is started with."""


class Templates(msgspec.Struct, frozen=True):
    """Which templates are rendered, and with which limits."""

    directory: Annotated[
        FilePath | None,
        Meta(description="Directory of your own templates. A template with the name of a packaged one "
             "(`backends.cfg.j2`, `maps/routes.map.j2`) replaces it. Empty: only the packaged "
             "templates."),
    ] = None  # fmt: skip
    packaged: Annotated[
        bool,
        Meta(description="Render the packaged set of haproxy.cfg and its maps. `false`: one of your outputs must "
             "provide haproxy.cfg."),
    ] = True  # fmt: skip
    contract: Annotated[
        bool,
        Meta(description="Read the keys according to lbsync's contract. `false`: the keys below the prefix belong "
             "to another tool and are only available to `getv`, `gets` and `ls`; none is decoded, "
             "refused or reported under `quarantine/`, and templates see no services. Needs `packaged "
             "= false`."),
    ] = True  # fmt: skip
    time_limit: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "30s"},
             description="Limit on the CPU time of a template for its output, and for each item of `each`. A "
             "template that exceeds it is stopped and named, and the last good configuration stays. If "
             "an item of one service exceeds it, only that service is quarantined. 5s: many times what "
             "10,000 services need."),
    ] = Duration(5_000)  # fmt: skip


class Output(msgspec.Struct, frozen=True):
    """An additional file that is rendered from one of your templates."""

    template: Annotated[
        str, Meta(min_length=1, description="Name of the template, relative to `directory`.")
    ]
    path: Annotated[
        str,
        Meta(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$",
             description="Path of the result. Relative: inside the generation, next to haproxy.cfg, and live "
             "together with it. Absolute: installed there after its check."),
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
        Meta(description="How each printed value is treated: quoted for haproxy.cfg (`haproxy`), checked for a map "
             "file (`map`), refused unless it contains only plain letters, digits and `. _ : / @ -` "
             "(`strict`), or left unchanged (`none`). `strict` is safe in any format."),
    ] = "strict"  # fmt: skip
    check: Annotated[
        Command,
        Meta(description="Command that is run before an installed file is put in place; any exit code other than 0 "
             "refuses the file. `{src}` stands for the new file. Empty: no check."),
    ] = Command()  # fmt: skip
    reload: Annotated[
        Command,
        Meta(description="Command that is run after an installed file was put in place. `{dest}` stands for the "
             "file. Empty: none."),
    ] = Command()  # fmt: skip
    left: Annotated[
        str,
        Meta(min_length=1, max_length=10,
             description="What opens an expression. Change this and the next five settings for a file that itself "
             "contains `{{`, `{%` or `{#`, as JSON log formats do. They apply to the template and to "
             "everything that it includes."),
    ] = "{{"  # fmt: skip
    right: Annotated[
        str, Meta(min_length=1, max_length=10, description="What closes an expression.")
    ] = "}}"
    block_left: Annotated[
        str, Meta(min_length=1, max_length=10, description="What opens a tag such as `{% if x %}`.")
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
