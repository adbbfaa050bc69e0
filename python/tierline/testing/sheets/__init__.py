"""A local server for Google Sheets: for tests that need a sheet, its quotas and its bad days."""

from tierline.testing.sheets.exchange import SeenRequest
from tierline.testing.sheets.faults import (
    Fault,
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
from tierline.testing.sheets.quotas import Quotas
from tierline.testing.sheets.server import SheetsServer

__all__ = [
    "Fault",
    "Quotas",
    "SeenRequest",
    "SheetsServer",
    "api_disabled",
    "cut_body",
    "delayed",
    "error_after_apply",
    "expired_token",
    "reset_after_apply",
    "reset_before_apply",
    "robot_page",
    "too_many_requests",
    "unavailable",
]
