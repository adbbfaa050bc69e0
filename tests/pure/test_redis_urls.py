"""What a URL of Redis says, and what errors of Redis mean."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis
from redis.connection import DefaultParser

import tierline as tl
from tierline.cache.redis_faults import Fault, RedisFaultError, fault_of
from tierline.cache.redis_url import Login, Place, Tls, read_redis_url

READ: dict[str, tuple[str, tuple[Place, ...], Login, str]] = {
    "redis://cache": ("standalone", (Place("cache", 6379),), Login(), "redis://cache:6379/0"),
    "redis://u:p%40@cache:1/3": (
        "standalone",
        (Place("cache", 1),),
        Login("u", "p@", 3),
        "redis://cache:1/3",
    ),
    "rediss://:p@[::1]:1?ssl_cert_reqs=none": (
        "standalone",
        (Place("::1", 1),),
        Login(None, "p", 0, Tls(verify=False, check_hostname=False)),
        "rediss://[::1]:1/0",
    ),
    "redis+sentinel://u:p@a,b:2/main/1": (
        "sentinel",
        (Place("a", 26379), Place("b", 2)),
        Login("u", "p", 1),
        "redis+sentinel://a:26379,b:2/main/1",
    ),
    "rediss+cluster://a:1,b?ssl_ca_certs=/x": (
        "cluster",
        (Place("a", 1), Place("b", 6379)),
        Login(tls=Tls("/x")),
        "rediss+cluster://a:1,b:6379/0",
    ),
    "unix:///tmp/redis.sock?db=2": (
        "standalone",
        (Place("", 0, "/tmp/redis.sock"),),
        Login(database=2),
        "unix:///tmp/redis.sock?db=2",
    ),
}


@pytest.mark.parametrize("url", READ)
def test_a_url_says_where_who_and_how(url: str) -> None:
    address = read_redis_url(url)
    topology, places, login, shown = READ[url]
    assert (address.topology, address.places, address.login) == (topology, places, login)
    assert str(address) == shown


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "cache:6379",
        "redis://cache/db",
        "redis://cache/1/2",
        "redis://cache:port",
        "redis+sentinel://a:1",
        "redis+cluster://a:1/1",
        "redis+sentinel://a:99999/main",
        "redis://cache?socket_timeout=soon",
    ],
)
def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        read_redis_url(url)


def test_no_secret_is_shown() -> None:
    address = read_redis_url("redis+sentinel://u:sesame@a/main?sentinel_password=sesame")
    assert address.sentinel_login.password == "sesame"
    assert "sesame" not in f"{address} {address!r}"


ERRORS: dict[str, Fault] = {
    "READONLY You can't write against a read only replica.": "readonly",
    "LOADING Redis is loading the dataset in memory": "loading",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL": "busy",
    "OOM command not allowed when used memory > 'maxmemory'.": "full",
    "MISCONF Redis is configured to save RDB snapshots": "full",
    "NOREPLICAS Not enough good replicas to write.": "full",
    "NOAUTH Authentication required.": "denied",
    "WRONGPASS invalid username-password pair or user is disabled.": "denied",
    "NOPERM this user has no permissions": "denied",
    "MOVED 3999 127.0.0.1:6381": "moved",
    "ASK 3999 127.0.0.1:6381": "ask",
    "TRYAGAIN Multiple keys request during rehashing of slot": "again",
    "CLUSTERDOWN The cluster is down": "down",
    "MASTERDOWN Link with MASTER is down": "down",
    "NOSCRIPT No matching script. Please use EVAL.": "unknown script",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "refused",
    "ERR Error running script (call to f_1): @user_script:4: -OOM command not allowed": "full",
    "ERR Error running script (call to f_1): @user_script:4: @user_script: 4: Wrong": "refused",
    "ERR max number of clients reached": "gone",
}


def parsed(text: str) -> BaseException:
    """An error as redis-py's parser makes it."""
    made: BaseException = cast("Any", DefaultParser).parse_error(text)
    return made


@pytest.mark.parametrize("text", ERRORS)
def test_an_answer_is_classified_by_its_code(text: str) -> None:
    assert fault_of(parsed(text)) == ERRORS[text]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (BlockingIOError(), "frozen"),
        (TimeoutError(), "frozen"),
        (redis.TimeoutError(), "frozen"),
        (ConnectionRefusedError(), "gone"),
        (redis.ConnectionError(), "gone"),
        (OSError(), "gone"),
        (RedisFaultError("late"), "late"),
    ],
)
def test_an_error_of_a_connection_is_classified_by_its_type(error: Exception, fault: Fault) -> None:
    assert fault_of(error) == fault


KEY = bytes(32)


@pytest.mark.parametrize(
    ("current", "keys", "error"),
    [
        ("a", {"b": KEY}, ValueError),
        ("a", {}, ValueError),
        ("a", {"a": KEY[1:]}, ValueError),
        ("", {"": KEY}, ValueError),
        ("a" * 256, {"a" * 256: KEY}, ValueError),
        ("a", {"a": "x" * 32}, TypeError),
        (1, {1: KEY}, TypeError),
    ],
)
def test_keys_that_cannot_encrypt_are_refused(
    current: Any, keys: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        tl.EncryptionKeys(current=current, keys=keys)


def test_keys_are_not_shown() -> None:
    keys = tl.EncryptionKeys(
        current="2026-11", keys={"2026-11": b"sesame-sesame-sesame-sesame-open"}
    )
    assert "sesame" not in f"{keys!r} {keys}"
    assert "2026-11" in repr(keys)
