"""Connection strings of one host and of several, without their secrets."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

import tierline as tl
from tierline.postgres.conninfo import read_hosts

URL = "postgresql://me:sesame@a.example:5433/shop?application_name=till"


def test_one_host_is_shown_without_its_password() -> None:
    (host,) = read_hosts(URL)
    assert host.location == "postgresql://a.example:5433/shop"
    parts = conninfo_to_dict(host.conninfo)
    assert (parts["password"], parts["application_name"]) == ("sesame", "till")
    assert parts["client_encoding"] == "utf8"


def test_several_hosts_are_taken_apart() -> None:
    hosts = read_hosts("postgresql://me:sesame@a,b:5433,c/shop?target_session_attrs=read-write")
    places = [conninfo_to_dict(host.conninfo) for host in hosts]
    assert [(one["host"], one.get("port")) for one in places] == [
        ("a", None), ("b", "5433"), ("c", None),
    ]  # fmt: skip
    assert all("target_session_attrs" not in one for one in places)
    same_port = read_hosts("host=a,b port=6000 user=me")
    assert [host.location for host in same_port] == [
        "postgresql://a:6000/me",
        "postgresql://b:6000/me",
    ]


def test_replicas_take_what_they_leave_out_from_the_first() -> None:
    _, plain, other = read_hosts(URL, ["host=r1", "postgresql://you:open@r2:7000/shop"])
    first = conninfo_to_dict(read_hosts(URL)[0].conninfo)
    del first["port"]
    assert conninfo_to_dict(plain.conninfo) == {**first, "host": "r1"}
    parts = conninfo_to_dict(other.conninfo)
    assert (parts["user"], parts["password"], parts["port"]) == ("you", "open", "7000")


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://me:ses@me@host/shop",
        "postgresql://host:port/shop",
        "host=a,b port=1,2,3",
        "nonsense",
        "postgresql://a:1,b:x/shop",
    ],
)
def test_what_cannot_be_read_is_refused_without_quoting_it(wrong: str) -> None:
    with pytest.raises(tl.ConfigurationError, match="percent-encoded") as refused:
        read_hosts(wrong)
    assert refused.value.__cause__ is None
    with pytest.raises(tl.ConfigurationError):
        read_hosts("host=a", [wrong])
