"""Quotas, faults, tokens and access: what clients meet on bad days."""

from __future__ import annotations

import threading

import google.auth.exceptions
import gspread
import pytest
import requests
from gspread.exceptions import APIError

from tierline.testing.sheets import (
    Fault,
    Quotas,
    SheetsServer,
    api_disabled,
    cut_body,
    delayed,
    error_after_apply,
    expired_token,
    reset_after_apply,
    reset_before_apply,
    robot_page,
    too_many_requests,
    unavailable,
)


def status_of(call: object) -> int:
    """The status of a refusal."""
    assert callable(call)
    with pytest.raises(APIError) as refused:
        call()
    return refused.value.response.status_code


def test_429_as_often_as_it_is_said(sheets_server: SheetsServer, sheet: gspread.Worksheet) -> None:
    sheets_server.inject(too_many_requests(2, retry_after_s=7))
    for _ in range(2):
        with pytest.raises(APIError) as refused:
            sheet.get_all_values()
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "7"
        assert refused.value.error["status"] == "RESOURCE_EXHAUSTED"
    assert sheet.get_all_values() == [[]]
    sheets_server.inject(too_many_requests())
    with pytest.raises(APIError) as refused:
        sheet.get_all_values()
    assert "Retry-After" not in refused.value.response.headers


@pytest.mark.parametrize(
    ("fault", "status"), [(unavailable(), 503), (unavailable(status=502), 502), (robot_page(), 429)]
)
def test_pages_instead_of_json(
    sheets_server: SheetsServer, sheet: gspread.Worksheet, fault: Fault, status: int
) -> None:
    sheets_server.inject(fault)
    with pytest.raises(APIError) as refused:
        sheet.append_row(["a"])
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["Content-Type"].startswith("text/html")
    assert sheets_server.values(sheet.spreadsheet_id) == []


def test_500_after_the_write_was_applied(
    sheets_server: SheetsServer, sheet: gspread.Worksheet
) -> None:
    sheets_server.inject(error_after_apply())
    sheet.get_all_values()
    assert sheets_server.faults_waiting == 1
    assert status_of(lambda: sheet.append_row(["a"])) == 500
    assert sheets_server.values(sheet.spreadsheet_id) == [["a"]]
    assert sheets_server.requests[-1].fault == "500 after apply"


@pytest.mark.parametrize(
    ("fault", "rows"), [(reset_after_apply(), [["a"]]), (reset_before_apply(), [])]
)
def test_a_reset_connection(
    sheets_server: SheetsServer, sheet: gspread.Worksheet, fault: Fault, rows: list[list[str]]
) -> None:
    sheets_server.inject(fault)
    with pytest.raises(requests.exceptions.ConnectionError):
        sheet.append_row(["a"])
    assert sheets_server.values(sheet.spreadsheet_id) == rows
    assert sheets_server.requests[-1].status is None
    sheet.append_row(["b"])
    assert sheets_server.values(sheet.spreadsheet_id) == [*rows, ["b"]]


def test_an_answer_that_breaks_off(sheets_server: SheetsServer, sheet: gspread.Worksheet) -> None:
    sheets_server.inject(cut_body(10))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        sheet.append_row(["a"])
    assert sheets_server.values(sheet.spreadsheet_id) == [["a"]]


def test_a_server_that_never_answers_is_ended_by_close() -> None:
    ended: list[Exception] = []
    with SheetsServer() as server:
        sheet = server.client().create("Birds").sheet1
        server.inject(delayed(3600))

        def ask() -> None:
            try:
                sheet.get_all_values()
            except (requests.exceptions.RequestException, APIError) as error:
                ended.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while server.faults_waiting:
            asking.join(0.01)
    # Answered late or cut: it depends on which of two threads is first. It does not wait an hour.
    asking.join()
    assert len(ended) <= 1


def test_a_client_may_give_up_waiting(
    sheets_server: SheetsServer, sheet: gspread.Worksheet
) -> None:
    sheets_server.inject(delayed(3600))
    sheet.client.set_timeout(0.01)
    with pytest.raises(requests.exceptions.ReadTimeout):
        sheet.get_all_values()


def test_faults_are_for_the_requests_they_name(
    sheets_server: SheetsServer, sheet: gspread.Worksheet
) -> None:
    sheets_server.inject(
        unavailable(on="writes"),
        Fault(name="only drive", path="/drive/", reply=too_many_requests().reply),
        unavailable(on="reads", skip=1),
    )
    sheet.get_all_values()
    assert status_of(lambda: sheet.append_row(["a"])) == 503
    assert status_of(sheet.spreadsheet.get_lastUpdateTime) == 429
    assert status_of(sheet.get_all_values) == 503
    assert sheets_server.faults_waiting == 0
    sheets_server.inject(unavailable(9))
    sheets_server.clear_faults()
    assert sheet.get_all_values() == [[]]


@pytest.mark.parametrize("kind", ["reads", "writes"])
def test_a_user_has_60_requests_a_minute(kind: str) -> None:
    with SheetsServer(quotas=Quotas()) as server:
        book_id = server.add_spreadsheet("Birds")
        http = server.client().http_client
        other = server.client("ada@example.com").http_client
        server.share(book_id, "ada@example.com")

        def ask(client: gspread.HTTPClient) -> None:
            if kind == "reads":
                client.values_get(book_id, "A1")
            else:
                client.values_clear(book_id, "A1")

        for _ in range(60):
            ask(http)
        with pytest.raises(APIError) as refused:
            ask(http)
        name = kind[:-1].capitalize()
        assert refused.value.error["message"] == (
            f"Quota exceeded for quota metric '{name} requests' and limit '{name} requests per "
            "minute per user' of service 'sheets.googleapis.com' for consumer "
            "'project_number:603366585132'."
        )
        info = refused.value.error["details"][0]["metadata"]
        assert info["quota_limit_value"] == "60"
        assert info["quota_limit"] == f"{name}RequestsPerMinutePerUser"
        # Another user, and the other kind of request, have counters of their own.
        ask(other)
        (http.values_clear if kind == "reads" else http.values_get)(book_id, "A1")
        server.advance(60)
        ask(http)


def test_a_project_has_a_limit_of_all_its_users() -> None:
    with SheetsServer(quotas=Quotas(reads=5, user_reads=3)) as server:
        book_id = server.add_spreadsheet("Birds")
        clients = [server.client(f"{name}@example.com").http_client for name in "ab"]
        for name in "ab":
            server.share(book_id, f"{name}@example.com")
        for client, times in zip(clients, (3, 2), strict=True):
            for _ in range(times):
                client.values_get(book_id, "A1")
        with pytest.raises(APIError, match="per minute' of service"):
            clients[1].values_get(book_id, "A1")


@pytest.mark.parametrize(("window", "answered"), [("fixed", 4), ("sliding", 2)])
def test_a_window_is_fixed_or_slides(window: str, answered: int) -> None:
    quotas = Quotas(user_reads=2, window="fixed" if window == "fixed" else "sliding")
    with SheetsServer(quotas=quotas) as server:
        book_id = server.add_spreadsheet("Birds")
        http = server.client().http_client
        # To half a minute before the end of one of the server's minutes.
        clock = server._service.clock
        server.advance(60 - clock.seconds() % 60 + 30)
        found = 0
        for pause_s in (0, 0, 40, 0):
            server.advance(pause_s)
            try:
                http.values_get(book_id, "A1")
                found += 1
            except APIError:
                pass
        assert found == answered
        server.advance(60)
        http.values_get(book_id, "A1")


def test_a_batch_is_one_request_and_drive_is_none() -> None:
    with SheetsServer(quotas=Quotas(user_reads=1, user_writes=1)) as server:
        client = server.client()
        book_id = server.add_spreadsheet("Birds")
        http = client.http_client
        http.values_batch_get(book_id, ["A1", "B1", "C1"])
        requests_ = [{"addSheet": {"properties": {"title": title}}} for title in "abc"]
        http.batch_update(book_id, {"requests": requests_})
        assert len(client.list_spreadsheet_files()) == 1
        assert status_of(lambda: http.values_get(book_id, "A1")) == 429


def test_refused_requests_change_nothing() -> None:
    with SheetsServer(quotas=Quotas(user_writes=1)) as server:
        http = server.client().http_client
        book_id = server.add_spreadsheet("Birds")
        body = {"values": [["a"]]}
        http.values_append(book_id, "A1", {"valueInputOption": "RAW"}, body)
        with pytest.raises(APIError):
            http.values_append(book_id, "A1", {"valueInputOption": "RAW"}, body)
        assert server.values(book_id) == [["a"]]


def test_a_service_account_gets_its_tokens_here(sheets_server: SheetsServer) -> None:
    key = sheets_server.service_account("robot@example.com")
    client = sheets_server.connect(gspread.service_account_from_dict(key))
    book = client.create("Birds")
    assert sheets_server.requests[0].path == "/token"
    assert {one.user for one in sheets_server.requests[1:]} == {"robot@example.com"}
    # google-auth asks for another token by itself, and asks again.
    sheets_server.revoke_tokens()
    sheets_server.clear_requests()
    assert book.sheet1.get_all_values() == [[]]
    assert [one.status for one in sheets_server.requests][:3] == [401, 200, 200]


def test_an_hour_later_a_token_is_too_old(sheets_server: SheetsServer) -> None:
    client = sheets_server.client("ada@example.com")
    book = client.create("Birds")
    sheets_server.advance(3599)
    book.fetch_sheet_metadata()
    sheets_server.advance(1)
    assert status_of(book.fetch_sheet_metadata) == 401


def test_a_revoked_key_is_an_invalid_grant(sheets_server: SheetsServer) -> None:
    key = sheets_server.service_account()
    client = sheets_server.connect(gspread.service_account_from_dict(key))
    sheets_server.revoke_key(key)
    with pytest.raises(google.auth.exceptions.RefreshError, match="invalid_grant"):
        client.create("Birds")


def test_a_key_of_another_server_is_refused(sheets_server: SheetsServer) -> None:
    with SheetsServer() as other:
        key = other.service_account("robot@example.com")
        sheets_server.service_account("robot@example.com")
        key["token_uri"] = f"{sheets_server.url}/token"
        client = sheets_server.connect(gspread.service_account_from_dict(key))
        with pytest.raises(google.auth.exceptions.RefreshError, match="Invalid JWT Signature"):
            client.create("Birds")


def test_a_server_may_require_its_tokens() -> None:
    with SheetsServer(token_required=True) as server:
        assert status_of(lambda: server.client().create("Birds")) == 401
        assert server.client("ada@example.com").create("Birds").title == "Birds"


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (expired_token(), 401, "UNAUTHENTICATED"),
        (api_disabled(), 403, "PERMISSION_DENIED"),
    ],
)
def test_refusals_of_the_whole_account(
    sheets_server: SheetsServer, sheet: gspread.Worksheet, fault: Fault, status: int, reason: str
) -> None:
    sheets_server.inject(fault)
    with pytest.raises(APIError) as refused:
        sheet.get_all_values()
    assert refused.value.response.status_code == status
    assert refused.value.error["status"] == reason


def test_what_is_not_shared_is_not_seen(sheets_server: SheetsServer) -> None:
    book_id = sheets_server.add_spreadsheet("Private", owner="ada@example.com")
    client = sheets_server.client("bob@example.com")
    with pytest.raises(PermissionError):
        client.open_by_key(book_id)
    assert client.list_spreadsheet_files() == []
    sheets_server.share(book_id, "bob@example.com", "reader")
    sheet = client.open_by_key(book_id).sheet1
    assert sheet.get_all_values() == [[]]
    assert status_of(lambda: sheet.append_row(["a"])) == 403
    sheets_server.share(book_id, "bob@example.com", "writer")
    sheet.append_row(["a"])
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open_by_key("1" + "x" * 43)


def test_a_protected_cell_is_only_for_its_editors(sheets_server: SheetsServer) -> None:
    ada, bob = sheets_server.client("ada@example.com"), sheets_server.client("bob@example.com")
    book = ada.create("Birds")
    sheets_server.share(book.id, "bob@example.com")
    book.sheet1.update([["id", "name"]], "A1")
    book.sheet1.add_protected_range("A1:B1")
    sheet = bob.open_by_key(book.id).sheet1
    for refused in (
        lambda: sheet.update([["x"]], "A1"),
        lambda: sheet.delete_rows(1),
        lambda: sheet.batch_clear(["A1:C3"]),
        lambda: sheet.append_row(["x"]) and sheet.clear(),
    ):
        with pytest.raises(APIError, match="trying to edit a protected cell or object"):
            refused()
    assert book.sheet1.row_values(1) == ["id", "name"]
    book.sheet1.update([["ID"]], "A1")
    assert sheet.acell("A1").value == "ID"


def test_a_server_says_what_it_holds(sheets_server: SheetsServer) -> None:
    assert "0 spreadsheets, 0 requests" in repr(sheets_server)
    sheets_server.inject(unavailable())
    assert "1 faults waiting" in repr(sheets_server)
    sheets_server.close()
    sheets_server.close()
    assert "closed" in repr(sheets_server)
