"""Shell completion and manual pages, generated from the parser and the settings."""
