"""Compose: the verbs of a repository over ports."""

from tierline.repository.repository import Repository, repository

__all__ = ["Repository", "repository"]
