"""What the sources of `tierline top` have in common."""

from __future__ import annotations


class UnreachableError(Exception):
    """A server cannot be asked now; the text is for the user."""
