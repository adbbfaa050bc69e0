"""Compose: the verbs of a repository over ports."""

from tierline.repository.opening import repository
from tierline.repository.repository import Repository

__all__ = ["Repository", "repository"]
