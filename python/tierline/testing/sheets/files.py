"""Files as Drive sees them: owners and permissions, versions, times, changes."""

from __future__ import annotations

from typing import Any

import msgspec

from tierline.testing.sheets.errors import Json

SHEET_TYPE = "application/vnd.google-apps.spreadsheet"
_ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")


class File(msgspec.Struct, frozen=True):
    """What Drive knows of a spreadsheet; its name is the spreadsheet's title.

    Args:
        id: The spreadsheet's id.
        created: When it was made, as Drive writes it.
        modified: When it was changed last.
        version: Grows with every change.
        permissions: Who may do what.
        parents: The folder it is in.
        trashed: Whether it is in the bin.
    """

    id: str
    created: str
    modified: str
    version: int
    permissions: tuple[Json, ...]
    parents: tuple[str, ...] = ()
    trashed: bool = False

    def role(self, user: str) -> str | None:
        """The strongest role of a user, or None."""
        roles = [
            str(one["role"])
            for one in self.permissions
            if one["type"] == "anyone"
            or one.get("emailAddress") == user
            or (one["type"] == "domain" and user.endswith(f"@{one.get('domain')}"))
        ]
        return max(roles, key=_ROLES.index, default=None)

    @property
    def owner(self) -> str:
        """Whose file it is."""
        return next(
            (str(one["emailAddress"]) for one in self.permissions if one["role"] == "owner"), ""
        )


def may_write(role: str | None) -> bool:
    """Whether a role may change the content."""
    return role is not None and _ROLES.index(role) >= _ROLES.index("writer")


def known_role(role: Any) -> bool:
    """Whether Drive has such a role."""
    return role in _ROLES


def permission(given: Json, permission_id: str) -> Json:
    """A permission from what a request gives."""
    kept = ("type", "role", "emailAddress", "domain", "allowFileDiscovery")
    told = {name: given[name] for name in kept if given.get(name) is not None}
    email = str(given.get("emailAddress") or "")
    shown = {"displayName": email.partition("@")[0]} if email else {}
    return {"kind": "drive#permission", "id": permission_id, **told, **shown}


def file_json(file: File, name: str, user: str) -> Json:
    """Everything that `files.get` can answer; a mask chooses."""
    owner = {"kind": "drive#user", "emailAddress": file.owner, "me": user == file.owner}
    return {
        "kind": "drive#file",
        "id": file.id,
        "name": name,
        "mimeType": SHEET_TYPE,
        "createdTime": file.created,
        "modifiedTime": file.modified,
        "version": str(file.version),
        "trashed": file.trashed,
        "parents": list(file.parents),
        "owners": [owner],
        "ownedByMe": user == file.owner,
        "shared": len(file.permissions) > 1,
        "permissions": list(file.permissions),
        "capabilities": {"canEdit": may_write(file.role(user))},
        "webViewLink": f"https://docs.google.com/spreadsheets/d/{file.id}/edit?usp=drivesdk",
    }
