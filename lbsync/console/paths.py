"""Paths of the console's files."""

from pathlib import Path

from lbsync.settings import Settings

_TOKENS = "console-tokens.json"


def tokens_path(settings: Settings) -> Path:
    """Return the token file: the one in the settings, or one in the state directory."""
    return Path(settings.console.tokens_file or f"{settings.state_dir}/{_TOKENS}")
