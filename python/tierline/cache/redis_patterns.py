"""Patterns of Redis."""

from __future__ import annotations


def glob_literal(text: str) -> str:
    """The text as a pattern of Redis that matches only itself."""
    return "".join(f"\\{character}" if character in "*?[]^\\" else character for character in text)
