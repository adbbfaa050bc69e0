"""Whether a Redis keeps a journal: on disk, and when its memory is full."""

from __future__ import annotations

from returns.result import Failure, Success

from tierline.cache.journal_line import Line
from tierline.errors import AccessDeniedError, ConfigurationError, RepositoryError


def keeps(line: Line) -> Success[None] | Failure[RepositoryError]:
    """Whether a Redis keeps what it is given: on disk, and when its memory is full.

    Errors: `ConfigurationError` if it does not, or may not be asked; those of `Line.ask`.
    """
    told = line.ask("INFO", "persistence")
    memory = line.ask("INFO", "memory")
    for one in (told, memory):
        if isinstance(one, Failure):
            return _unknown() if isinstance(one.failure(), AccessDeniedError) else one
    if b"aof_enabled:1" not in told.unwrap():
        saves = line.ask("CONFIG", "GET", "save")
        if isinstance(saves, Failure):
            return _unknown() if isinstance(saves.failure(), AccessDeniedError) else saves
        if not any(saves.unwrap()[1::2]):
            return _lossy(
                "Redis keeps nothing on disk, so a restart would lose acknowledged writes; set "
                "`appendonly yes`, or say durable=False"
            )
    limits = dict(line_.partition(b":")[::2] for line_ in memory.unwrap().splitlines())
    bounded = limits.get(b"maxmemory", b"0") != b"0"
    if bounded and limits.get(b"maxmemory_policy", b"").startswith(b"allkeys"):
        return _lossy(
            "Redis evicts any key when its memory is full, the journal too; set `maxmemory-policy` "
            "to noeviction or one of volatile-*, or say durable=False"
        )
    return Success(None)


def _unknown() -> Failure[RepositoryError]:
    return _lossy(
        "the Redis account may not ask whether Redis keeps what it is given (INFO, CONFIG GET); "
        "allow it, or say durable=False"
    )


def _lossy(message: str) -> Failure[RepositoryError]:
    return Failure(ConfigurationError(message, operation="write_behind"))
