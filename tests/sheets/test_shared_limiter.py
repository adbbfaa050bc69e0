"""Processes that share a quota through Redis."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.sheets.taking_turns import QUOTA, TURNS

import tierline as tl
from tierline.sheets.limiter import LocalLimiter, SheetsQuota, bucket_of
from tierline.sheets.shared_limiter import SharedLimiter

_PROCESSES = 8
_ROOT = Path(__file__).parents[2]


def _shared(url: str, prefix: str, quota: SheetsQuota, user: str = "ada") -> SharedLimiter:
    return SharedLimiter(url, quota, LocalLimiter(quota), prefix=prefix, project="birds", user=user)


def test_eight_processes_together_stay_below_the_quota_and_none_starves(
    redis_url: str, redis_prefix: str
) -> None:
    command = [sys.executable, "-m", "tests.sheets.taking_turns", redis_url, redis_prefix]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(_PROCESSES)
        ]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("begin\n")
            process.stdin.flush()
        spans = [
            [float(number) for number in process.communicate(timeout=100)[0].split()]
            for process in processes
        ]
    # Every turn was taken between these, whatever the machine did meanwhile.
    elapsed_s = max(end for _, end in spans) - min(begin for begin, _ in spans)
    bucket = bucket_of(QUOTA.user_reads)
    assert bucket.burst + bucket.rate_per_s * elapsed_s + 1 >= _PROCESSES * TURNS


def test_users_share_the_projects_quota(redis_url: str, redis_prefix: str) -> None:
    quota = SheetsQuota(user_reads=60, project_reads=12)
    ada = _shared(redis_url, redis_prefix, quota, "ada")
    bob = _shared(redis_url, redis_prefix, quota, "bob")
    assert [ada.wait_s("read"), bob.wait_s("read")] == [0, 0]
    assert ada.wait_s("read") > 0
    assert bob.wait_s("read") > 0
    assert ada.wait_s("write") == 0


def test_what_google_tells_one_process_all_hear(redis_url: str, redis_prefix: str) -> None:
    one = _shared(redis_url, redis_prefix, SheetsQuota())
    other = _shared(redis_url, redis_prefix, SheetsQuota())
    bob = _shared(redis_url, redis_prefix, SheetsQuota(), "bob")
    one.ran_out("read", 3600)
    assert 3500 < other.wait_s("read") <= 3600
    assert bob.wait_s("read") == 0
    one.ran_out("read", 60, projects=True)
    assert 50 < bob.wait_s("read") <= 60
    assert other.wait_s("write") == 0


def test_without_redis_each_keeps_to_its_part(redis_prefix: str) -> None:
    quota = SheetsQuota(user_reads=60, processes=5)
    limiter = _shared("redis://127.0.0.1:1/0", redis_prefix, quota)
    assert [limiter.wait_s("read") for _ in range(2)] == [0, 0]
    assert limiter.wait_s("read") > 0
    limiter.ran_out("write", 60)
    assert limiter.wait_s("write") > 50
    limiter.close()


def test_who_loses_redis_has_no_second_burst(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = _shared(redis_url, redis_prefix, SheetsQuota())
    assert limiter.wait_s("read") == 0

    def gone(*_: object, **__: object) -> int:
        raise redis.ConnectionError

    monkeypatch.setattr(limiter, "_run", gone)
    assert limiter.wait_s("read") > 0


def test_a_url_that_is_none_is_told(redis_prefix: str) -> None:
    with pytest.raises(tl.ConfigurationError, match="the Redis URL cannot be read"):
        _shared("rediss:/x y", redis_prefix, SheetsQuota())


def test_keys_expire_and_share_a_slot(redis_url: str, redis_prefix: str) -> None:
    limiter = _shared(redis_url, redis_prefix, SheetsQuota())
    limiter.wait_s("read")
    client: Any = redis.Redis.from_url(redis_url)
    keys = list(client.scan_iter(f"{redis_prefix}:sheets:*"))
    assert len(keys) == 2
    assert all(b"{birds}" in key and 0 < client.ttl(key) <= 300 for key in keys)
    client.close()
    limiter.close()
