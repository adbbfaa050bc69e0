"""The token endpoint: a service account's signed assertion for a bearer token."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tierline.testing.sheets.clock import Clock
from tierline.testing.sheets.errors import Json, unauthenticated
from tierline.testing.sheets.exchange import Reply, Request, json_reply
from tierline.testing.sheets.masks import as_object

if TYPE_CHECKING:
    # Loaded with the first key, for most tests have none.
    from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN_LIFE_S = 3600
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Tokens:
    """Service accounts, their keys and tokens; the caller holds the lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, tuple[str, rsa.RSAPublicKey]] = {}
        self._issued: dict[str, tuple[str, float]] = {}
        self._count = 0

    def service_account(self, email: str, token_uri: str) -> Json:
        """The JSON of a new key for an account, as Google's console would download it."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._count += 1
        key_id = f"{self._count:040x}"
        self._keys[key_id] = (email, key.public_key())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": "tierline-test",
            "private_key_id": key_id,
            "private_key": pem.decode(),
            "client_email": email,
            "client_id": "100000000000000000000",
            "token_uri": token_uri,
        }

    def revoke_key(self, key_id: str) -> None:
        """From now on the key is worth nothing: `invalid_grant`."""
        self._keys.pop(key_id, None)

    def issue(self, user: str) -> str:
        """A token of a user."""
        self._count += 1
        token = f"ya29.test-{self._count}"
        self._issued[token] = (user, self._clock.seconds() + TOKEN_LIFE_S)
        return token

    def revoke_tokens(self) -> None:
        """Every token issued so far is refused with 401."""
        self._issued = {token: (user, 0.0) for token, (user, _) in self._issued.items()}

    def user_of(self, token: str | None, *, default: str, required: bool) -> str:
        """Who a token stands for. Foreign tokens stand for `default`, unless tokens are required.

        Raises:
            ApiError: 401: it is too old or revoked, or required and unknown.
        """
        if token in self._issued:
            user, until = self._issued[token]
            if self._clock.seconds() >= until:
                raise unauthenticated()
            return user
        if required:
            raise unauthenticated()
        return default

    def answer(self, request: Request) -> Reply:
        """What `POST /token` answers."""
        form = parse_qs(request.body.decode("utf-8", "replace"))
        if form.get("grant_type", [""])[0] != _JWT_GRANT:
            return _refused("unsupported_grant_type", "Invalid grant_type")
        user = self._verified(form.get("assertion", [""])[0])
        if user is None:
            return _refused("invalid_grant", "Invalid JWT Signature.")
        return json_reply(
            {"access_token": self.issue(user), "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"}
        )

    def _verified(self, assertion: str) -> str | None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

        try:
            header, claims, signature = assertion.split(".")
            key_id = str(_decoded(header).get("kid"))
            email, key = self._keys[key_id]
            signed = f"{header}.{claims}".encode()
            key.verify(_unpadded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, KeyError, InvalidSignature):
            return None
        return email if _decoded(claims).get("iss") == email else None


def _unpadded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text) from error


def _decoded(part: str) -> Json:
    found: Any = json.loads(_unpadded(part))
    return as_object(found)


def _refused(error: str, description: str) -> Reply:
    return json_reply({"error": error, "error_description": description}, 400)
