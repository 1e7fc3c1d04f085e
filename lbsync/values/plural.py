"""How many of something, in words."""


def count(number: int, noun: str) -> str:
    """Return `1 service`, `2 services`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
