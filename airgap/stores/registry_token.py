"""Answering a registry's 401: the one class of oras-py that is replaced.

oras sends a request, hands a refused one to its `auth`, and sends it again with what that says.
Its own answer leaks credentials to other hosts and tries again for minutes (performance notes,
A2), so `ScopedAuth` says instead:

- one object per repository and purpose, so a token is never sent where it was not meant;
- a Basic challenge is answered with the password, once; a Bearer one with a token of its realm;
- an expired token is asked for again, once a request, by one thread for all;
- a body that is a stream is never sent a second time from its middle.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Final

from oras.auth import TokenAuth

from airgap.errors import AuthenticationError, FormatError
from airgap.oci.strict_json import Reader
from airgap.stores.registry_challenge import Challenge, judge_realm, parse_challenges

if TYPE_CHECKING:
    import requests

    from airgap.stores.registry_credentials import Credentials
    from airgap.stores.registry_http import Connection

__all__ = ["ScopedAuth", "StaleTokenError"]

_log = logging.getLogger(__name__)
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}", re.ASCII)
_TOKEN_LIMIT: Final = 1 << 20


class StaleTokenError(AuthenticationError):
    """A token was refused while a stream was sent: begin again, and a new one is asked for."""


class ScopedAuth(TokenAuth):  # type: ignore[misc]  # oras ships no types
    """What one repository, for one purpose, is visited with. Safe to share between threads.

    `token`, a name that oras looks at, is the whole Authorization header.
    """

    def __init__(
        self, connection: Connection, credentials: Credentials | None, foreign: set[str]
    ) -> None:
        super().__init__()
        self.token: str | None = None
        self.scheme = ""
        self._connection = connection
        self._credentials = credentials
        self._foreign = foreign
        self._lock = threading.Lock()

    def get_auth_header(self) -> dict[str, str]:
        """Return the header that oras adds to every request once there is a token."""
        return {"Authorization": self.token} if self.token else {}

    def authenticate_request(
        self,
        original: requests.Response,
        headers: dict[str, str] | None,
        refresh: bool = False,  # noqa: FBT001, FBT002 - the signature that oras calls
    ) -> tuple[dict[str, str], bool]:
        """Return the headers to send again with, or raise AuthenticationError."""
        sent = original.request.headers.get("Authorization")
        challenges = parse_challenges(original.headers.get("Www-Authenticate", ""))
        complaint = self._connection.complaint(original)
        if refresh or (original.status_code == 403 and not challenges):
            raise self._denied(complaint)
        with self._lock:
            if self.token == sent:  # else another thread has been here already
                self.token = None
            if self._is_stream(original.request.body):
                raise StaleTokenError(
                    f"{self._connection.label}: the token was refused during an upload{complaint}",
                    reason="credentials-refused",
                )
            if self.token is None:
                self.token = self._answer(challenges, sent, complaint)
            return {**(headers or {}), "Authorization": self.token}, True

    @staticmethod
    def _is_stream(body: object) -> bool:
        return body is not None and not isinstance(body, (bytes, str))

    def _answer(self, challenges: tuple[Challenge, ...], sent: str | None, complaint: str) -> str:
        known = {challenge.scheme: challenge for challenge in reversed(challenges)}
        if "bearer" in known:
            self.scheme = "bearer"
            return f"Bearer {self._bearer(known['bearer'], sent)}"
        if "basic" not in known:
            raise self._refused(
                f"it asks for authentication in no way that is known{complaint}",
                "authentication-unknown",
            )
        self.scheme = "basic"
        if self._credentials is None or self._credentials.basic is None:
            raise self.missing(complaint)
        if sent == self._credentials.basic:
            raise self.refused(complaint)
        return self._credentials.basic

    def _bearer(self, challenge: Challenge, sent: str | None) -> str:
        credentials = self._credentials
        if credentials is not None and credentials.registry_token:
            if sent == f"Bearer {credentials.registry_token}":
                raise self.refused("")
            return credentials.registry_token
        if judge_realm(challenge.realm, self._connection) and challenge.realm not in self._foreign:
            self._foreign.add(challenge.realm)
            _log.info("%s: tokens come from %s", self._connection.label, challenge.realm)
        response = self._connection.patiently(
            "asking for a token", lambda: self._ask_realm(challenge)
        )
        if response.status_code in {400, 401, 403}:
            complaint = self._connection.complaint(response)
            raise self.missing(complaint) if credentials is None else self.refused(complaint)
        if response.status_code != 200:
            raise self._connection.failure(response, "asking for a token")
        return self._token(self._connection.read(response, _TOKEN_LIMIT, "a token"))

    def _ask_realm(self, challenge: Challenge) -> requests.Response:
        session = self._connection.session
        # The challenge separates scopes by spaces, the request repeats the parameter.
        form: list[tuple[str, str]] = [("scope", scope) for scope in challenge.scope.split()]
        form += [("service", challenge.service)] if challenge.service else []
        credentials = self._credentials
        if credentials is not None and credentials.identity_token:
            form += [
                ("grant_type", "refresh_token"),
                ("client_id", "airgap"),
                ("refresh_token", credentials.identity_token),
            ]
            form = [item for item in form if item[0] != "scope"] + [("scope", challenge.scope)]
            return session.request("POST", challenge.realm, data=form)
        basic = credentials and credentials.basic
        headers = {"Authorization": basic} if basic else {}
        return session.request("GET", challenge.realm, params=form, headers=headers)

    def _token(self, body: bytes) -> str:
        try:
            reader = Reader.parse(body, "the answer of the token service", floats=True)
            token = reader.optional_text("token") or reader.text("access_token")
        except FormatError as error:
            # Not `error.message`: it may quote the answer.
            raise self._refused("its token service answers nonsense", "token-invalid") from error
        if _TOKEN.fullmatch(token) is None:
            raise self._refused("its token service answers nonsense", "token-invalid")
        return token

    def refused(self, complaint: str) -> AuthenticationError:
        """Return the error for credentials that the registry does not take."""
        return self._refused(
            f"the credentials were refused{complaint}",
            "credentials-refused",
            f"They come from {self._origin()}. Log in again, or name --authfile.",
        )

    def missing(self, complaint: str) -> AuthenticationError:
        """Return the error for a registry that wants credentials where there are none."""
        return self._refused(
            f"it asks for credentials, and none were found for it{complaint}", "credentials-missing"
        )

    def still_refused(self, complaint: str) -> AuthenticationError:
        """Return the error for a request that was refused with what had just been granted."""
        if self._credentials is None:
            return self.missing(complaint)
        return self.refused(complaint) if self.scheme == "basic" else self._denied(complaint)

    def _denied(self, complaint: str) -> AuthenticationError:
        return self._refused(
            f"access was denied{complaint}",
            "access-denied",
            f"The repository does not exist, or these credentials ({self._origin()}) do not "
            "reach it.",
        )

    def _origin(self) -> str:
        return "none, anonymous" if self._credentials is None else self._credentials.origin

    def _refused(self, sentence: str, reason: str, hint: str | None = None) -> AuthenticationError:
        return AuthenticationError(
            f"{self._connection.label}: {sentence}", reason=reason, hint=hint
        )
