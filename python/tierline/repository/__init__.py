"""Compose: the verbs of a repository over ports."""

from tierline.repository.memory import MemoryRepository, memory_repository
from tierline.repository.opening import repository
from tierline.repository.repository import Repository

__all__ = ["MemoryRepository", "Repository", "memory_repository", "repository"]
