"""What the API answers when it refuses: status, message and details, as recorded or documented."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

STATUS_OF = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """A refusal, with the body that says so.

    Args:
        code: The HTTP status.
        message: What `error.message` says.
        details: `error.details`, for the Sheets API.
        errors: `error.errors`, for the Drive API, which has no `status`.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        details: list[Json] | None = None,
        errors: list[Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.errors = errors

    def body(self) -> Json:
        """The JSON of the answer."""
        error: Json = {"code": self.code, "message": self.message}
        if self.errors is not None:
            error["errors"] = self.errors
        else:
            error["status"] = STATUS_OF.get(self.code, "UNKNOWN")
        if self.details is not None:
            error["details"] = self.details
        return {"error": error}


def invalid(message: str) -> ApiError:
    """A 400 without details."""
    return ApiError(400, message)


def invalid_field(message: str, field: str, description: str) -> ApiError:
    """A 400 that names the field of the request which is wrong."""
    violation = {"field": field, "description": description} if field else None
    details: Json = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [violation or {"description": description}],
    }
    return ApiError(400, message, details=[details])


def not_found() -> ApiError:
    """There is no such spreadsheet."""
    return ApiError(404, "Requested entity was not found.")


def no_access() -> ApiError:
    """There is, but not for this caller."""
    return ApiError(403, "The caller does not have permission")


def protected_cell() -> ApiError:
    """A cell of the range is protected against this caller."""
    return invalid(
        "You are trying to edit a protected cell or object. Please contact the spreadsheet owner "
        "to remove protection if you need to edit."
    )


def unauthenticated() -> ApiError:
    """The token is missing, unknown, revoked or too old."""
    return ApiError(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
    )


def service_disabled(project: str) -> ApiError:
    """The Sheets API is not enabled in the caller's project."""
    url = f"https://console.developers.google.com/apis/api/sheets.googleapis.com/overview?project={project}"
    return ApiError(
        403,
        f"Google Sheets API has not been used in project {project} before or it is disabled. "
        f"Enable it by visiting {url} then retry. If you enabled this API recently, wait a few "
        "minutes for the action to propagate to our systems and retry.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [{"description": "Google developers console API activation", "url": url}],
            },
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
                "metadata": {
                    "consumer": f"projects/{project}",
                    "service": "sheets.googleapis.com",
                },
            },
        ],
    )


def drive_error(code: int, reason: str, message: str, location: str | None = None) -> ApiError:
    """An answer of the Drive API, which tells the reason in `errors`."""
    domain = "usageLimits" if "imit" in reason else "global"
    entry: Json = {"message": message, "domain": domain, "reason": reason}
    if location is not None:
        entry |= {"location": location, "locationType": "parameter"}
    return ApiError(code, message, errors=[entry])


def file_not_found(file_id: str) -> ApiError:
    """The Drive API knows no such file, or not for this caller."""
    return drive_error(404, "notFound", f"File not found: {file_id}.", "fileId")
