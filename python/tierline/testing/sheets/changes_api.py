"""Changes of Drive: lists of what changed, and channels that are told of it."""

from __future__ import annotations

import queue
import threading
import urllib.error
import urllib.request
from typing import NamedTuple

from tierline.testing.sheets.errors import Json, drive_error
from tierline.testing.sheets.exchange import Reply, json_reply
from tierline.testing.sheets.files import file_json
from tierline.testing.sheets.masks import as_object, parse, project
from tierline.testing.sheets.sheets_api import Call, Endpoint
from tierline.testing.sheets.state import Change

_POST_WAIT_S = 5.0


class Channel(NamedTuple):
    """Who is told of changes, and of which."""

    id: str
    resource_id: str
    address: str
    token: str | None
    file_id: str | None
    until_s: float


class _Notice(NamedTuple):
    channel: Channel
    number: int
    state: str


class Channels:
    """The channels of a server; notices are posted in order by a thread of their own."""

    def __init__(self) -> None:
        self._channels: dict[str, tuple[Channel, int]] = {}
        self._notices: queue.Queue[_Notice | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def open(self, channel: Channel) -> None:
        """Tell a channel of changes from now on; the first notice is `sync`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._post_all, daemon=True)
            self._thread.start()
        self._channels[channel.id] = (channel, 1)
        self._notices.put(_Notice(channel, 1, "sync"))

    def stop(self, channel_id: str, resource_id: str) -> bool:
        """Tell a channel no more; False where there is none of these ids."""
        found = self._channels.get(channel_id)
        if found is None or found[0].resource_id != resource_id:
            return False
        del self._channels[channel_id]
        return True

    def tell(self, change: Change, now_s: float) -> None:
        """Tell those that watch the file, or everything."""
        for channel, sent in list(self._channels.values()):
            if channel.until_s <= now_s:
                del self._channels[channel.id]
            elif channel.file_id in (None, change.file_id):
                self._channels[channel.id] = (channel, sent + 1)
                state = "change"
                if channel.file_id is not None:
                    state = "remove" if change.removed else "update"
                self._notices.put(_Notice(channel, sent + 1, state))

    def close(self) -> None:
        """Post what waits, and no more."""
        self._channels.clear()
        if self._thread is not None:
            self._notices.put(None)
            self._thread.join()
            self._thread = None

    def _post_all(self) -> None:
        while (notice := self._notices.get()) is not None:
            channel = notice.channel
            headers = {
                "X-Goog-Channel-ID": channel.id,
                "X-Goog-Message-Number": str(notice.number),
                "X-Goog-Resource-ID": channel.resource_id,
                "X-Goog-Resource-State": notice.state,
                "X-Goog-Resource-URI": "https://www.googleapis.com/drive/v3/"
                + (f"files/{channel.file_id}" if channel.file_id else "changes"),
            }
            if channel.token is not None:
                headers["X-Goog-Channel-Token"] = channel.token
            request = urllib.request.Request(  # noqa: S310 # checked when it was opened
                channel.address, data=b"", headers=headers, method="POST"
            )
            try:
                with urllib.request.urlopen(request, timeout=_POST_WAIT_S):  # noqa: S310
                    pass
            except (urllib.error.URLError, OSError):
                # A receiver that is away misses notices: they are hints, and lists tell the truth.
                continue


def start_token(call: Call) -> Reply:
    """`changes.getStartPageToken`."""
    number = str(len(call.state.changes) + 1)
    return json_reply({"kind": "drive#startPageToken", "startPageToken": number})


def list_changes(call: Call) -> Reply:
    """`changes.list` from a token on; a token never expires."""
    token = call.request.option("pageToken")
    if token is None or not token.isdigit():
        raise drive_error(400, "invalid", "Invalid Value", "pageToken")
    start, size = int(token) - 1, int(call.request.option("pageSize") or 100)
    page, state = call.state.changes[start:][:size], call.state
    # A file that changed twice is told once, with its last change.
    last = {change.file_id: change for change in page}
    found: list[Json] = []
    for change in sorted(last.values()):
        file = state.files.get(change.file_id)
        if file is not None and file.role(call.user) is None:
            continue
        one: Json = {
            "kind": "drive#change",
            "type": "file",
            "changeType": "file",
            "time": change.time,
            "removed": file is None,
            "fileId": change.file_id,
        }
        if file is not None:
            one["file"] = file_json(file, state.books[file.id].title, call.user)
        found.append(one)
    answer: Json = {"kind": "drive#changeList", "changes": found}
    if start + size < len(state.changes):
        answer["nextPageToken"] = str(start + size + 1)
    else:
        answer["newStartPageToken"] = str(len(state.changes) + 1)
    fields = call.request.option("fields") or (
        "kind,newStartPageToken,nextPageToken,changes(kind,type,changeType,time,removed,fileId,"
        "file(kind,id,name,mimeType))"
    )
    return json_reply(as_object(project(answer, parse(fields))))


def channel_of(call: Call, now_s: float, now_ms: int) -> tuple[Channel, Json]:
    """The channel that a `watch` request asks for, and the answer.

    Raises:
        ApiError: Something of it is missing, or its address is no web address.
    """
    body = call.request.json()
    file_id = call.parts.get("id")
    if file_id is not None:
        call.state.file(file_id, call.user)
    address = str(body.get("address") or "")
    if body.get("type") not in ("web_hook", "webhook") or not body.get("id"):
        raise drive_error(400, "required", "Required: entity.resource", "type")
    # Google takes https only; a test's receiver is on loopback and has no certificate.
    if not address.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise drive_error(
            400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}"
        )
    # A day for a file and a week for all changes, unless less is asked for.
    life_ms = 86_400_000 if file_id else 7 * 86_400_000
    wanted_ms = int(body.get("expiration") or now_ms + life_ms)
    expiration_ms = min(wanted_ms, now_ms + life_ms)
    token = None if body.get("token") is None else str(body["token"])
    until_s = now_s + (expiration_ms - now_ms) / 1000
    channel = Channel(str(body["id"]), call.state.new_id(27), address, token, file_id, until_s)
    answer = {
        "kind": "api#channel",
        "id": channel.id,
        "resourceId": channel.resource_id,
        "resourceUri": "https://www.googleapis.com/drive/v3/"
        + (f"files/{file_id}" if file_id else "changes"),
        "expiration": str(expiration_ms),
    }
    return channel, answer | ({} if token is None else {"token": token})


ROUTES: list[tuple[str, str, Endpoint]] = [
    ("GET", r"/drive/v3/changes/startPageToken", start_token),
    ("GET", r"/drive/v3/changes", list_changes),
]
WATCH = (r"/drive/v3/changes/watch", r"/drive/v3/files/(?P<id>[^/]+)/watch")
STOP = r"/drive/v3/channels/stop"
