"""Answers of the server, and requests of the library, beside Google's discovery documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.sheets.birds import Bird, birds_of
from tests.sheets.discovery import Method, documents, methods, told
from tests.sheets.test_gspread import PARTS, files

import tierline as tl
from tierline.testing import SheetsServer
from tierline.testing.sheets.exchange import Reply, Request
from tierline.testing.sheets.service import Outcome, Service

_DOCUMENTS = documents()
_NEEDED = pytest.mark.skipif(
    not _DOCUMENTS, reason="needs google-api-python-client, or TIERLINE_DISCOVERY"
)
_MUCH = tl.SheetsQuota(1_000_000, 1_000_000, 1_000_000, 1_000_000)


class Watched:
    """What was found in the traffic, and how much of it there was."""

    def __init__(self) -> None:
        self.known: list[Method] = [one for doc in _DOCUMENTS.values() for one in methods(doc)]
        self.found: set[str] = set()
        self.answers = 0
        self.ours = False


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Looks at each answer of the server."""
    watched = Watched()
    answer = Service.answer

    def looked_at(service: Service, request: Request) -> Outcome:
        outcome = answer(service, request)
        watched.answers += 1
        watched.found.update(told(watched.known, request, outcome, ours=watched.ours))
        return outcome

    monkeypatch.setattr(Service, "answer", looked_at)
    return watched


@_NEEDED
def test_answers_to_gspread_are_of_googles_kinds(
    sheets_server: SheetsServer, watched: Watched
) -> None:
    for part in PARTS:
        part(sheets_server.client().create("Birds"))
    files(sheets_server.client())
    assert watched.answers > 200
    assert watched.found == set()


@_NEEDED
def test_what_the_library_asks_is_known_to_google(
    sheets_server: SheetsServer, watched: Watched
) -> None:
    table = birds_of(sheets_server)
    watched.ours = True
    with tl.open_sheets(sheets_server.client(), write=True, quota=_MUCH) as sheets:
        birds = tl.repository(sheets, table)
        tl.unwrap(birds.create(Bird(9, "=1+1", None)))
        tl.unwrap(birds.update(Bird(1, "crow", None)))
        tl.unwrap(birds.delete(2))
        tl.unwrap(birds.create_many([Bird(n, "x", None) for n in range(20, 30)]))
        tl.unwrap(sheets.fetch_all(tl.select(table), fresh=True))
    cached = tl.open_sheets(sheets_server.client(), cache=tl.read_through(ttl_s=60), quota=_MUCH)
    with cached as sheets:
        tl.unwrap(sheets.fetch_all(tl.select(table)))
    assert watched.answers > 6
    assert watched.found == set()


_SMALL: dict[str, Any] = {
    "servicePath": "",
    "parameters": {"fields": {}},
    "schemas": {
        "Bird": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": ["owl", "heron"]},
                "count": {"type": "integer"},
                "seen": {"type": "boolean"},
                "any": {},
                "near": {"type": "array", "items": {"$ref": "Bird"}},
                "notes": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    },
    "resources": {
        "birds": {
            "methods": {
                "put": {
                    "id": "birds.put",
                    "httpMethod": "PUT",
                    "path": "v4/birds/{birdId}",
                    "request": {"$ref": "Bird"},
                    "response": {"$ref": "Bird"},
                }
            }
        }
    },
}


def _told(asked: Any, answered: Any, *, path: str = "/v4/birds/1", **query: str) -> Iterator[str]:
    given = {name: [value] for name, value in query.items()}
    request = Request("PUT", path, given, json.dumps(asked).encode())
    reply = Reply(200, json.dumps(answered).encode())
    return told(methods(_SMALL), request, Outcome(reply), ours=True)


@pytest.mark.parametrize(
    ("answered", "breach"),
    [
        ({"name": "owl", "count": 1, "seen": True, "any": [None], "notes": {"a": "b"}}, None),
        ({"near": [{"name": "heron"}]}, None),
        ({"size": 1}, ".size is unknown"),
        ({"name": "emu"}, ".name is none of its names: 'emu'"),
        ({"count": True}, ".count is no integer: True"),
        ({"count": "1"}, ".count is no integer: '1'"),
        ({"seen": 1}, ".seen is no boolean: 1"),
        ({"near": [{"near": {}}]}, ".near[].near is no array: {}"),
        ({"notes": {"a": 1}}, ".notes.a is no string: 1"),
        ([], " is no object: []"),
    ],
)
def test_what_a_document_does_not_allow_is_told(answered: Any, breach: str | None) -> None:
    assert list(_told({}, answered)) == ([] if breach is None else [f"birds.put: {breach}"])


def test_requests_are_looked_at_too() -> None:
    fields = "name,near(near.count,size)"
    assert list(_told({"size": 2}, {}, fields=fields, size="3")) == [
        "birds.put: parameter size is unknown",
        "birds.put: request.size is unknown",
        "birds.put: mask .near.size is unknown",
    ]
    assert list(_told({}, {}, path="/v4/owls/1")) == ["PUT /v4/owls/1 is no method"]
