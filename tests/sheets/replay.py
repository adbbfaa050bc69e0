"""Replays recorded traffic against the server, and says where the answers differ.

Ids differ from run to run, so a recorded id is taken for the one that our server gave at the same
place; times and e-mail addresses are taken for equal. Everything else has to be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from tierline.testing.sheets.exchange import Request
from tierline.testing.sheets.service import DEFAULT_USER, Service

FILE_ID = re.compile(r"[0-9A-Za-z_-]{44}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
MAIL = re.compile(r"[\w.-]+@[\w.-]+\.iam\.gserviceaccount\.com")
ID_NAMES = {"id", "spreadsheetId", "sheetId", "namedRangeId", "protectedRangeId"}
STRANGER = "stranger@example.com"


class Difference(NamedTuple):
    """One response that is not as recorded."""

    index: int
    request: str
    path: str
    recorded: Any
    ours: Any


class Result(NamedTuple):
    """What a replay of one sequence found."""

    name: str
    responses: int
    differences: list[Difference]


class Interaction(NamedTuple):
    """A recorded request and its response."""

    method: str
    uri: str
    body: str
    status: int
    answer: str


def interactions(path: Path) -> list[Interaction]:
    """The recorded pairs of a file."""
    recorded = json.loads(path.read_text(encoding="utf-8"))["interactions"]
    return [
        Interaction(
            one["request"]["method"],
            one["request"]["uri"],
            one["request"]["body"] or "",
            one["response"]["status"]["code"],
            one["response"]["body"].get("string") or "",
        )
        for one in recorded
    ]


def parsed(text: str) -> Any:
    """JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


class Replay:
    """One sequence on a server of its own."""

    def __init__(self) -> None:
        self.service = Service(quotas=None, token_required=False, seed=1)
        # Recorded ids, as text, and ours.
        self.known: dict[str, str] = {}

    def prepare(self, recorded: list[Interaction]) -> None:
        """What was there before the recording began: files of the account, and of strangers.

        Of the account's files only what their list says is made: id, name and times.
        """
        state = self.service.state
        made = {found[0] for one in recorded if (found := _created(one))}
        for one in recorded:
            if one.status == 403 and (found := FILE_ID.search(one.uri)):
                self.known[found[0]] = state.create("Private", STRANGER).id
            for file in reversed(_listed(one)):
                if file["id"] in made or file["id"] in self.known:
                    continue
                book = state.create(file["name"], DEFAULT_USER)
                self.known[file["id"]] = book.id
                state.files[book.id] = msgspec.structs.replace(
                    state.files[book.id], created=file["createdTime"], modified=file["modifiedTime"]
                )

    def ask(self, one: Interaction) -> tuple[int, str]:
        """Send a recorded request, with our ids, and answer the status and body."""
        url = urlsplit(self.translated(one.uri))
        outcome = self.service.answer(
            Request(
                one.method,
                url.path,
                parse_qs(url.query, keep_blank_values=True),
                self.translated(one.body).encode(),
            )
        )
        return outcome.reply.status, outcome.reply.body.decode()

    def translated(self, text: str) -> str:
        """A text with recorded ids replaced by ours; numbers only where they stand alone."""
        for recorded, ours in self.known.items():
            text = re.sub(rf"(?<![\w-]){re.escape(recorded)}(?![\w-])", ours, text)
        return text

    def learn(self, recorded: Any, ours: Any, name: str = "") -> None:
        """Take the ids that stand at the same place for one another."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key in recorded.keys() & ours.keys():
                self.learn(recorded[key], ours[key], key)
        elif isinstance(recorded, list) and isinstance(ours, list):
            for a, b in zip(recorded, ours, strict=False):
                self.learn(a, b)
        elif name in ID_NAMES and recorded != 0 and ours != 0:
            self.known.setdefault(str(recorded), str(ours))

    def run(self, recorded: list[Interaction]) -> Iterator[Difference]:
        """Every response that differs."""
        for index, one in enumerate(recorded):
            status, body = self.ask(one)
            expected, got = parsed(one.answer), parsed(body)
            self.learn(expected, got)
            wanted = parsed(self.translated(json.dumps(expected)))
            request = f"{one.method} {unquote(one.uri)}"
            if status != one.status:
                yield Difference(index, request, "status", one.status, f"{status} {body}")
                continue
            for path, a, b in differences(wanted, got):
                yield Difference(index, request, path, a, b)


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place where two values differ."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in sorted(recorded.keys() | ours.keys()):
            absent = "<absent>"
            yield from differences(
                recorded.get(key, absent), ours.get(key, absent), f"{path}.{key}"
            )
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for i, (a, b) in enumerate(zip(recorded, ours, strict=True)):
            yield from differences(a, b, f"{path}[{i}]")
    elif isinstance(recorded, str) and isinstance(ours, str):
        if plain(recorded) != plain(ours):
            yield path, recorded, ours
    elif recorded != ours or isinstance(recorded, bool) != isinstance(ours, bool):
        yield path, recorded, ours


def plain(text: str) -> str:
    """A text without times and addresses."""
    return MAIL.sub("<address>", TIME.sub("<time>", text))


def _created(one: Interaction) -> list[str]:
    """The id of the file that a request made."""
    made = one.method == "POST" and "/drive/v3/files" in one.uri and one.status == 200
    return [parsed(one.answer)["id"]] if made else []


def _listed(one: Interaction) -> list[dict[str, Any]]:
    """The files that a request listed."""
    listed = one.method == "GET" and "/drive/v3/files?" in one.uri
    return list(parsed(one.answer)["files"]) if listed else []


def takes(recorded: list[Interaction]) -> Iterator[list[Interaction]]:
    """The recordings of a sequence: each was made on another day, and begins with a new file.

    gspread's tests delete their file at the end, so a file made after a deletion begins the next.
    """
    take: list[Interaction] = []
    for one in recorded:
        if take and take[-1].method == "DELETE" and _created(one):
            yield take
            take = []
        take.append(one)
    yield take


def replay(path: Path) -> Result:
    """Replay one file, each of its recordings on a new server."""
    found: list[Difference] = []
    count = 0
    for take in takes(interactions(path)):
        one = Replay()
        one.prepare(take)
        found += [
            difference._replace(index=count + difference.index) for difference in one.run(take)
        ]
        count += len(take)
    return Result(path.stem, count, found)
