"""`SheetsServer`: what tests and people see of the local Sheets server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import msgspec

from tierline.testing.sheets.errors import Json
from tierline.testing.sheets.exchange import SeenRequest
from tierline.testing.sheets.faults import Fault
from tierline.testing.sheets.files import File, permission
from tierline.testing.sheets.http import HOST, HttpServer
from tierline.testing.sheets.people import People
from tierline.testing.sheets.quotas import Quotas
from tierline.testing.sheets.service import DEFAULT_USER, Service
from tierline.testing.sheets.values import Rendering, Writing, read_values, write_values

if TYPE_CHECKING:
    import gspread


@final
class SheetsServer(People):
    """A local server for Google's Sheets API v4 and the part of Drive v3 that spreadsheets use.

    It listens on 127.0.0.1 only and holds spreadsheets in memory. Unmodified gspread runs on it.

    Args:
        port: The port, or 0 for a free one.
        quotas: Requests a minute before 429; None for no limit, `Quotas()` for Google's.
        token_required: Refuse requests without a token that this server gave.
        seed: Ids of spreadsheets and sheets are the same in every run of one seed.

    Attributes:
        requests: What was asked, in order, for tests to count.

    Example:
        >>> with SheetsServer() as server:
        ...     worksheet = server.client().create("Birds").sheet1
        ...     _ = worksheet.append_row(["heron", 3])
        ...     worksheet.get_values()
        [['heron', '3']]
    """

    def __init__(
        self,
        *,
        port: int = 0,
        quotas: Quotas | None = None,
        token_required: bool = False,
        seed: int = 2013,
    ) -> None:
        self._service = Service(quotas=quotas, token_required=token_required, seed=seed)
        self._http: HttpServer | None = HttpServer(self._service, port)
        self._port = self._http.server_port
        self._clients: list[Any] = []

    @property
    def url(self) -> str:
        """Its address; a browser shows the grids there."""
        return f"http://{HOST}:{self._port}"

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests so far, but for those of the page."""
        with self._service.lock:
            return list(self._service.seen)

    @property
    def spreadsheet_ids(self) -> list[str]:
        """The ids of its spreadsheets, oldest first."""
        with self._service.lock:
            return list(self._service.state.books)

    def client(self, user: str | None = None) -> gspread.Client:
        """A gspread client on this server.

        Args:
            user: Whose client, by address; None for one that sends no token and is the default
                user. Each user has files and quotas of their own.
        """
        from tierline.testing.sheets.client import new_client  # noqa: PLC0415

        token = None if user is None else self.token(user)
        made = new_client(self.url, token)
        self._clients.append(made)
        return made

    def connect(self, client: gspread.Client) -> gspread.Client:
        """Send the requests of a client of your own to this server.

        Example:
            `server.connect(gspread.service_account_from_dict(server.service_account()))`.
        """
        from tierline.testing.sheets.client import connect  # noqa: PLC0415

        self._clients.append(client)
        return connect(client, self.url)

    def token(self, user: str = DEFAULT_USER) -> str:
        """A bearer token of a user, good for an hour of this server's clock."""
        with self._service.lock:
            return self._service.tokens.issue(user)

    def service_account(self, email: str = DEFAULT_USER) -> Json:
        """A service account's key, as a dict for `gspread.service_account_from_dict`.

        Its `token_uri` is this server's, and the signature is checked.
        """
        with self._service.lock:
            return self._service.tokens.service_account(email, f"{self.url}/token")

    def revoke_key(self, key: Json) -> None:
        """A key of `service_account` is worth nothing from now on: `invalid_grant`."""
        with self._service.lock:
            self._service.tokens.revoke_key(str(key["private_key_id"]))

    def revoke_tokens(self) -> None:
        """Every token given so far is answered with 401."""
        with self._service.lock:
            self._service.tokens.revoke_tokens()

    def inject(self, *faults: Fault) -> None:
        """Let the next requests meet faults, in this order."""
        with self._service.lock:
            for fault in faults:
                self._service.faults.add(fault)

    @property
    def faults_waiting(self) -> int:
        """How many of the injected faults have not met their last request yet."""
        with self._service.lock:
            return len(self._service.faults)

    def clear_faults(self) -> None:
        """Inject none any more."""
        with self._service.lock:
            self._service.faults.clear()

    def clear_requests(self) -> None:
        """Count requests from here."""
        with self._service.lock:
            self._service.seen.clear()

    def advance(self, seconds: float) -> None:
        """Put the clock of quotas, tokens and channels forward."""
        self._service.clock.advance(seconds)

    def add_spreadsheet(
        self,
        title: str,
        values: list[list[Any]] | None = None,
        *,
        owner: str = DEFAULT_USER,
        locale: str = "en_US",
        time_zone: str = "Etc/GMT",
    ) -> str:
        """A spreadsheet without a request: one that is there before the test begins.

        Args:
            title: Its title.
            values: Rows of its first sheet, taken as a person types them; None for an empty one.
            owner: Whose it is. Others get 403, until it is shared with them.
            locale: How numbers and dates are read, such as de_DE.
            time_zone: Its time zone.

        Returns:
            Its id.
        """
        with self._service.lock:
            state = self._service.state
            book = state.create(title, owner)
            properties = {**book.properties, "locale": locale, "timeZone": time_zone}
            book = msgspec.structs.replace(book, properties=properties)
            if values:
                how = Writing(user_entered=True, user=owner)
                book, _ = write_values(book, book.sheets[0], (0, 0), {"values": values}, how)
            state.keep(book)
            return book.id

    def share(self, spreadsheet_id: str, user: str, role: str = "writer") -> None:
        """Give a user a role without a request: reader, commenter or writer.

        Raises:
            KeyError: There is no such spreadsheet.
        """
        with self._service.lock:
            state = self._service.state
            file: File = state.files[spreadsheet_id]
            given = permission(
                {"type": "user", "role": role, "emailAddress": user}, state.new_id(20)
            )
            kept = [one for one in file.permissions if one.get("emailAddress") != user]
            state.files[spreadsheet_id] = msgspec.structs.replace(file, permissions=(*kept, given))
            state.touch(spreadsheet_id, content=False)

    def values(
        self, spreadsheet_id: str, worksheet: str | None = None, *, formulas: bool = False
    ) -> list[list[bool | float | str]]:
        """What is in a sheet, without a request: numbers as numbers, dates as serials.

        Args:
            spreadsheet_id: The spreadsheet's id.
            worksheet: Its title; None for the first.
            formulas: Answer the formulas, not what they are worth.

        Raises:
            KeyError: There is no such spreadsheet or worksheet.
        """
        with self._service.lock:
            book = self._service.state.books[spreadsheet_id]
        sheet = book.sheets[0] if worksheet is None else book.titled(worksheet)
        if sheet is None:
            raise KeyError(worksheet)
        how = Rendering("FORMULA" if formulas else "UNFORMATTED_VALUE")
        return list(read_values(sheet, sheet.grid.whole, how).get("values", []))

    def formulas(self, spreadsheet_id: str) -> dict[str, str]:
        """Every formula of a spreadsheet by its cell: `{"Sheet1!B2": "=A2*2"}`.

        For tests that no text was taken for one.

        Raises:
            KeyError: There is no such spreadsheet.
        """
        from tierline.testing.sheets.ranges import Bounds, a1  # noqa: PLC0415

        with self._service.lock:
            book = self._service.state.books[spreadsheet_id]
        return {
            a1(sheet.title, Bounds(row, column, row + 1, column + 1)): cell.formula
            for sheet in book.sheets
            for row, column, cell in sheet.grid.filled()
            if cell.formula is not None
        }

    def close(self) -> None:
        """Stop, and close the sessions of the clients that it made; more than once does no harm."""
        if self._http is None:
            return
        self._service.closing.set()
        for client in self._clients:
            client.http_client.session.close()
        self._http.close()
        self._service.channels.close()
        self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        with self._service.lock:
            books = list(self._service.state.books.values())
            asked, waiting = len(self._service.seen), len(self._service.faults)
        state = self.url if self._http is not None else "closed"
        faults = f", {waiting} faults waiting" if waiting else ""
        return f"<SheetsServer {state}: {len(books)} spreadsheets, {asked} requests{faults}>"
