"""Write completion and manual below a directory, as below /usr/share: `python -m lbsync.cli.reference DIR`."""

import sys
from pathlib import Path

from lbsync.cli.reference import completion, manual

FILES = {
    "bash-completion/completions/lbsync": completion.bash,
    "zsh/site-functions/_lbsync": completion.zsh,
    "fish/vendor_completions.d/lbsync.fish": completion.fish,
    "man/man1/lbsync.1": manual.command_page,
    "man/man5/lbsync.toml.5": manual.settings_page,
}
"""Each file, and what writes it."""


def write(below: Path) -> None:
    """Write them all."""
    for name, text in FILES.items():
        path = below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
