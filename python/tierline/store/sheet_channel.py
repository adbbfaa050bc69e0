"""The channel of one watch: opened, renewed before it ends, and given up."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from tierline.errors import (
    ConnectionError,  # noqa: A004 (the field's word)
    RateLimitedError,
    RepositoryError,
    TimeoutError,  # noqa: A004 (the field's word)
)
from tierline.result import Failure
from tierline.sheets.channels import Channel, open_channel, stop_channel
from tierline.sheets.http import SheetsHttp

_PASSING = (ConnectionError, TimeoutError, RateLimitedError)


class OpenChannel:
    """Drive's notifications of a spreadsheet, for as long as they are wanted.

    Args:
        http: What asks Google.
        spreadsheet: Its id.
        address: Where Drive sends its requests.
        token: What they prove themselves by.
        clock: The time of day.

    Attributes:
        ids: The channels whose requests are ours.
        error: Why there is none, or no new one; None if there is.
    """

    def __init__(
        self,
        http: SheetsHttp,
        spreadsheet: str,
        address: str,
        token: str,
        clock: Callable[[], float],
    ) -> None:
        self._http = http
        self._spreadsheet = spreadsheet
        self._address = address
        self._clock = clock
        self._open: Channel | None = None
        self.token = token
        self.ids: frozenset[str] = frozenset()
        self.error: RepositoryError | None = None

    def due_s(self) -> float:
        """Seconds until another is to be opened; 0 if one should be there and is not."""
        return 0.0 if self._open is None else max(0.0, self._open.renew_s - self._clock())

    def keep(self) -> bool:
        """Open one, if there is none or the old one ends soon; whether to tell why not."""
        if self.due_s() > 0:
            return False
        old, channel = self._open, str(uuid.uuid4())
        # Its first notice may be here before the answer.
        self.ids |= {channel}
        opened = open_channel(
            self._http,
            self._spreadsheet,
            self._address,
            channel=channel,
            token=self.token,
            now_s=self._clock(),
        )
        if isinstance(opened, Failure):
            self.ids -= {channel}
            before, self.error = self.error, opened.failure()
            is_new = before is None or type(before) is not type(self.error)
            return is_new and not isinstance(self.error, _PASSING)
        self._open, self.error = opened.unwrap(), None
        if old is not None:
            # Opened before the old one is stopped: between them nothing is missed.
            stop_channel(self._http, old)
        self.ids = frozenset({channel})
        return False

    def stop(self) -> None:
        """Give it up; what cannot be stopped now ends by itself."""
        old, self._open, self.ids = self._open, None, frozenset()
        if old is not None:
            stop_channel(self._http, old)
