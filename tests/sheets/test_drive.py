"""Drive: versions and times, changes, notifications; and the page for people."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gspread
import pytest
import requests
from gspread.exceptions import APIError

from tierline.testing.sheets import SheetsServer

DRIVE = "https://www.googleapis.com/drive/v3"
WAIT_S = 60


def drive(client: gspread.HTTPClient, method: str, path: str, **rest: Any) -> Any:
    """The JSON that Drive answers."""
    return client.request(method, f"{DRIVE}/{path}", **rest).json()


def version(book: gspread.Spreadsheet) -> tuple[int, str]:
    """The version and the time of the last change."""
    fields = {"fields": "version,modifiedTime"}
    found = drive(book.client, "get", f"files/{book.id}", params=fields)
    assert set(found) == {"version", "modifiedTime"}
    return int(found["version"]), found["modifiedTime"]


def test_the_version_grows_with_every_change_and_with_no_read(book: gspread.Spreadsheet) -> None:
    seen = [version(book)]
    for change in (
        lambda: book.sheet1.append_row(["a"]),
        lambda: book.sheet1.update([["b"]], "A1"),
        lambda: book.add_worksheet("New", 1, 1),
    ):
        change()
        book.fetch_sheet_metadata()
        seen.append(version(book))
    assert seen == sorted(set(seen))
    assert version(book) == seen[-1]
    book.share("ada@example.com", "user", "reader", notify=False)
    after = version(book)
    assert (after[0] > seen[-1][0], after[1]) == (True, seen[-1][1])


def test_a_refused_write_leaves_the_version(book: gspread.Spreadsheet) -> None:
    before = version(book)
    with pytest.raises(APIError):
        book.sheet1.update([["a", "b"]], "Z1")
    assert version(book) == before


def test_changes_are_listed_from_a_token_on(book: gspread.Spreadsheet) -> None:
    token = drive(book.client, "get", "changes/startPageToken")["startPageToken"]
    assert drive(book.client, "get", "changes", params={"pageToken": token})["changes"] == []
    book.sheet1.append_row(["a"])
    book.sheet1.append_row(["b"])
    found = drive(book.client, "get", "changes", params={"pageToken": token})
    assert [(one["fileId"], one["removed"]) for one in found["changes"]] == [(book.id, False)]
    later = {"pageToken": found["newStartPageToken"]}
    assert drive(book.client, "get", "changes", params=later)["changes"] == []
    book.client.request("delete", f"{DRIVE}/files/{book.id}")
    (gone,) = drive(book.client, "get", "changes", params=later)["changes"]
    assert (gone["removed"], "file" in gone) == (True, False)


@contextmanager
def receiver() -> Iterator[tuple[str, queue.Queue[Message]]]:
    """A web address, and the headers of what is posted to it."""
    posted: queue.Queue[Message] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.put(self.headers)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", posted
        finally:
            server.shutdown()
            thread.join()


def test_a_watched_file_posts_its_changes(book: gspread.Spreadsheet) -> None:
    with receiver() as (address, posted):
        body = {"id": "channel-1", "type": "web_hook", "address": address, "token": "secret"}
        opened = drive(book.client, "post", f"files/{book.id}/watch", json=body)
        first = posted.get(timeout=WAIT_S)
        assert first["X-Goog-Resource-State"] == "sync"
        assert first["X-Goog-Channel-Token"] == "secret"
        book.sheet1.append_row(["a"])
        second = posted.get(timeout=WAIT_S)
        assert (second["X-Goog-Resource-State"], second["X-Goog-Message-Number"]) == ("update", "2")
        stop = {"id": "channel-1", "resourceId": opened["resourceId"]}
        book.client.request("post", f"{DRIVE}/channels/stop", json=stop)
        with pytest.raises(APIError, match="not found"):
            book.client.request("post", f"{DRIVE}/channels/stop", json=stop)
        book.sheet1.append_row(["b"])
        body = {**body, "id": "channel-2"}
        drive(book.client, "post", "changes/watch", json=body)
        # Had the stopped channel been told, that would have come first.
        assert posted.get(timeout=WAIT_S)["X-Goog-Channel-ID"] == "channel-2"
        book.sheet1.append_row(["c"])
        assert posted.get(timeout=WAIT_S)["X-Goog-Resource-State"] == "change"


def test_a_channel_ends_and_wants_an_address(
    sheets_server: SheetsServer, book: gspread.Spreadsheet
) -> None:
    with receiver() as (address, posted):
        body = {"id": "one", "type": "web_hook", "address": address}
        drive(book.client, "post", f"files/{book.id}/watch", json=body)
        assert posted.get(timeout=WAIT_S)["X-Goog-Resource-State"] == "sync"
        sheets_server.advance(24 * 3600)
        book.sheet1.append_row(["a"])
        drive(book.client, "post", "changes/watch", json={**body, "id": "two"})
        assert posted.get(timeout=WAIT_S)["X-Goog-Channel-ID"] == "two"
    with pytest.raises(APIError, match="must be HTTPS"):
        drive(book.client, "post", "changes/watch", json={**body, "address": "http://example.com/"})


def test_files_are_listed_in_pages_the_latest_first(sheets_server: SheetsServer) -> None:
    client = sheets_server.client()
    ids = [sheets_server.add_spreadsheet(f"Birds {i}") for i in range(5)]
    params = {"pageSize": 2, "fields": "nextPageToken,files(id)"}
    found: list[str] = []
    token: str | None = ""
    while token is not None:
        page = drive(
            client.http_client, "get", "files", params={**params, "pageToken": token or "0"}
        )
        found += [one["id"] for one in page["files"]]
        token = page.get("nextPageToken")
    assert found == ids[::-1]
    with pytest.raises(APIError, match="Invalid Value"):
        drive(client.http_client, "get", "files", params={"q": "nonsense"})
    query = {"q": "name contains 'birds 3' and trashed = false"}
    assert len(drive(client.http_client, "get", "files", params=query)["files"]) == 1


def test_the_page_shows_the_grids_and_runs_nothing(sheets_server: SheetsServer) -> None:
    title = "<script>alert(1)</script>"
    book_id = sheets_server.add_spreadsheet(title, [[title, "=1+1"]])
    for path in ("/", f"/view/{book_id}"):
        page = requests.get(sheets_server.url + path, timeout=WAIT_S)
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert ">2" in page.text
    assert requests.get(f"{sheets_server.url}/view/none", timeout=WAIT_S).status_code == 404
    assert requests.post(sheets_server.url, timeout=WAIT_S).status_code == 404
    # Who only looks is not counted.
    assert [one.method for one in sheets_server.requests] == ["POST"]


def test_an_unknown_path_is_a_page(sheets_server: SheetsServer) -> None:
    found = requests.get(f"{sheets_server.url}/v4/nothing", timeout=WAIT_S)
    assert (found.status_code, found.headers["Content-Type"][:9]) == (404, "text/html")


def test_it_listens_on_loopback_only(sheets_server: SheetsServer) -> None:
    assert sheets_server.url.startswith("http://127.0.0.1:")


def test_the_same_seed_gives_the_same_ids() -> None:
    ids: list[list[str]] = []
    for seed in (1, 1, 2):
        with SheetsServer(seed=seed) as server:
            ids.append([server.add_spreadsheet("Birds"), server.add_spreadsheet("Birds")])
    assert ids[0] == ids[1] != ids[2]
    assert len(set(ids[0])) == 2


def test_the_command_serves_until_it_is_interrupted(tmp_path: Any) -> None:
    key = tmp_path / "key.json"
    command = [sys.executable, "-m", "tierline.testing.sheets", "--key", str(key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        assert child.stdout.readline().startswith("spreadsheet ")
        assert "Example" in requests.get(url, timeout=WAIT_S).text
        child.send_signal(2)
        assert child.wait(timeout=WAIT_S) == 0
    assert '"token_uri"' in key.read_text()


def test_importing_tierline_does_not_load_the_server() -> None:
    code = (
        "import sys, tierline; "
        "assert not [m for m in sys.modules if m.startswith(('tierline.testing', 'gspread'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_S)


def test_importing_the_server_loads_no_client_and_no_cryptography() -> None:
    code = (
        "import sys, tierline.testing.sheets; "
        "assert not {'gspread', 'google.auth', 'cryptography', 'requests'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_S)
