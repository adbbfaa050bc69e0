"""Where L2 is: what a URL says of servers, login and encryption of the line. Pure.

| URL | topology |
|---|---|
| `redis://user:password@host:6379/0`, `unix:///path?db=0` | one server |
| `redis+sentinel://user:password@host1:26379,host2:26379/service/0` | the sentinels' master |
| `redis+cluster://user:password@host1:6379,host2:6379` | a cluster, found from any of its nodes |

`rediss://`, `rediss+sentinel://` and `rediss+cluster://` are the same over TLS.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec
from redis import connection

_redis: Any = connection

Topology: TypeAlias = Literal["standalone", "sentinel", "cluster"]

_SCHEMES: dict[str, tuple[Topology, bool]] = {
    "redis": ("standalone", False),
    "rediss": ("standalone", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_PORTS = {"standalone": 6379, "sentinel": 26379, "cluster": 6379}


class Place(NamedTuple):
    """Where a server listens: a host and port, or the path of a socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


class Tls(msgspec.Struct, frozen=True):
    """How the line is encrypted.

    Attributes:
        ca_certs: A file of certificates to trust; None trusts the system's.
        certfile: Our own certificate, if the server asks for one.
        keyfile: Its key.
        verify: Whether the server's certificate is checked.
        check_hostname: Whether its name is.
    """

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    check_hostname: bool = True


class Login(msgspec.Struct, frozen=True):
    """How to begin on a connection. Never shown whole: `repr` leaves the password out."""

    username: str | None = None
    password: str | None = None
    database: int = 0
    tls: Tls | None = None

    def __repr__(self) -> str:
        return f"<Login of {self.username or 'default'!r}>"


class RedisAddress(msgspec.Struct, frozen=True):
    """What a URL says.

    Attributes:
        topology: What the servers are to each other.
        places: The server, the sentinels, or some of the cluster's nodes.
        login: To the servers that keep data.
        sentinel_login: To the sentinels.
        service: What the sentinels call the master.
        scheme: As it was written.
    """

    topology: Topology
    places: tuple[Place, ...]
    login: Login
    sentinel_login: Login
    service: str
    scheme: str

    def __str__(self) -> str:
        """Without secrets."""
        at = ",".join(map(str, self.places))
        if self.places[0].path:
            return f"unix://{at}?db={self.login.database}"
        service = f"/{self.service}" if self.service else ""
        return f"{self.scheme}://{at}{service}/{self.login.database}"


def read_redis_url(url: str) -> RedisAddress:
    """What a URL of Redis says; options that are not about servers and logins are left out.

    redis-py reads it, host by host: its own URLs know one.

    Raises:
        ValueError: It is none; the message does not quote it.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        options = _parse(url)
        places = (Place("", 0, options["path"]),)
        return RedisAddress("standalone", places, _login(options), Login(), "", "unix")
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"a Redis URL begins with one of {', '.join(_SCHEMES)} or unix")
    topology, encrypted = _SCHEMES[parts.scheme]
    words = [unquote(word) for word in parts.path.split("/") if word]
    userinfo, at, hosts = parts.netloc.rpartition("@")
    scheme = "rediss" if encrypted else "redis"
    found = [_parse(f"{scheme}://{userinfo}{at}{host}?{parts.query}") for host in hosts.split(",")]
    options = found[0]
    service = ""
    if topology == "sentinel":
        service = options.get("service") or (words.pop(0) if words else "")
        if not service:
            raise ValueError("a URL of sentinels names the service: …host:26379/service")
    if words and "db" not in options:
        options["db"] = _database(words.pop(0))
    login = _login(options)
    if words or (topology == "cluster" and login.database):
        raise ValueError("the path of a Redis URL is a database's number, and a cluster has only 0")
    default_port = _PORTS[topology]
    return RedisAddress(
        topology,
        tuple(Place(one.get("host", "localhost"), one.get("port", default_port)) for one in found),
        login,
        Login(options.get("sentinel_username"), options.get("sentinel_password"), tls=login.tls),
        service,
        parts.scheme,
    )


def _parse(url: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _redis.parse_url(url)
    except ValueError:
        # The text may quote the URL with its password.
        raise ValueError("the hosts, ports or options of the Redis URL cannot be read") from None
    return found


def _database(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a database of Redis is a number")
    return int(text)


def _login(options: dict[str, Any]) -> Login:
    tls = _tls(options) if options.get("connection_class") is _redis.SSLConnection else None
    username, password = options.get("username"), options.get("password")
    return Login(username or None, password or None, options.get("db", 0), tls)


def _tls(options: dict[str, Any]) -> Tls:
    verify = options.get("ssl_cert_reqs", "required") != "none"
    return Tls(
        options.get("ssl_ca_certs"),
        options.get("ssl_certfile"),
        options.get("ssl_keyfile"),
        verify,
        verify and options.get("ssl_check_hostname", True),
    )
