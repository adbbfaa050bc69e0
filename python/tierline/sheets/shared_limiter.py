"""A limiter that processes share through Redis: one script a turn, which never waits there.

The clock is Redis' own. All keys of a project are in one hash slot, so that a Redis Cluster takes
the script too. Without Redis each process keeps to its part of the quota, which is what is safe.
"""

from __future__ import annotations

import math
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tierline.errors import ConfigurationError
from tierline.sheets.limiter import RESERVE, Kind, LocalLimiter, SheetsQuota, bucket_of

_TIMEOUT_S = 0.5
_KEPT_S = 300

# KEYS: one a bucket. ARGV: for each its burst and its tokens a second; then, to block instead of
# taking, the milliseconds and which bucket; then the seconds that keys are kept, and the share of
# the burst that is to be left (see `needed`).
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local blocks = tonumber(ARGV[2 * #KEYS + 1])
local blocked_key = tonumber(ARGV[2 * #KEYS + 2])
local kept = tonumber(ARGV[2 * #KEYS + 3])
local reserve = tonumber(ARGV[2 * #KEYS + 4])
local wait = 0
local levels = {}
for i, key in ipairs(KEYS) do
  local burst, rate = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local found = redis.call('HMGET', key, 'tokens', 'at', 'blocked')
  local tokens, at = tonumber(found[1] or burst), tonumber(found[2] or now)
  local blocked = tonumber(found[3] or 0)
  tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
  if blocks > 0 and i == blocked_key then blocked = math.max(blocked, now + blocks) end
  levels[i] = {tokens, blocked}
  local needed = 1 + math.min(burst - 1, burst * reserve)
  if tokens < needed then wait = math.max(wait, (needed - tokens) * 1000 / rate) end
  wait = math.max(wait, blocked - now)
end
for i, key in ipairs(KEYS) do
  local tokens = levels[i][1]
  if wait <= 0 and blocks == 0 then tokens = tokens - 1 end
  redis.call('HSET', key, 'tokens', tostring(tokens), 'at', now, 'blocked', levels[i][2])
  redis.call('EXPIRE', key, kept)
end
return math.ceil(wait)
"""


class SharedLimiter:
    """As `Limiter`, for all processes that name the same Redis, project and user."""

    def __init__(
        self,
        url: str,
        quota: SheetsQuota,
        local: LocalLimiter,
        *,
        prefix: str,
        project: str,
        user: str,
    ) -> None:
        try:
            client: Any = redis.Redis
            self._client: redis.Redis = client.from_url(
                url,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
            )
        except ValueError as error:
            # The text may quote the URL with its password, so it stays out of the message.
            raise ConfigurationError(
                "the Redis URL cannot be read; write it as redis://user:password@host:6379/0",
                operation="open_sheets",
            ) from error
        self._script = self._client.register_script(_SCRIPT)
        self._local = local
        self._is_shared = False
        self._keys: dict[Kind, list[str]] = {}
        self._buckets: dict[Kind, list[float]] = {}
        kinds: tuple[Kind, ...] = ("read", "write")
        for kind in kinds:
            base = f"{prefix}:sheets:{{{project}}}:{kind}"
            self._keys[kind] = [f"{base}:user:{user}", f"{base}:project"]
            self._buckets[kind] = [
                number
                for limit in quota.per_minute(kind)
                for bucket in [bucket_of(limit)]
                for number in (bucket.burst, bucket.rate_per_s)
            ]

    def wait_s(self, kind: Kind, *, background: bool = False) -> float:
        """As `Limiter.wait_s`."""
        try:
            wait_s = self._run(kind, reserve=RESERVE if background else 0.0) / 1000
        except redis.RedisError:
            if self._is_shared:
                # What there is of a burst may have been used together.
                self._is_shared = False
                self._local.empty()
            return self._local.wait_s(kind, background=background)
        self._is_shared = True
        return wait_s

    def ran_out(self, kind: Kind, for_s: float, *, projects: bool = False) -> None:
        """As `Limiter.ran_out`."""
        self._local.ran_out(kind, for_s, projects=projects)
        try:
            self._run(kind, blocks_s=for_s, bucket=2 if projects else 1)
        except redis.RedisError:
            return

    def close(self) -> None:
        """Close the connections to Redis."""
        self._client.close()

    def _run(
        self, kind: Kind, *, blocks_s: float = 0.0, bucket: int = 0, reserve: float = 0.0
    ) -> int:
        kept_s = _KEPT_S + math.ceil(blocks_s)
        answered: Any = self._script(
            keys=self._keys[kind],
            args=[*self._buckets[kind], int(blocks_s * 1000), bucket, kept_s, reserve],
        )
        return int(answered)
