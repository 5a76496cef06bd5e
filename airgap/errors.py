"""The error tree: one exit code and one hint per class.

Exceptions mean *could not do it*; a verdict means *did it, and here is the answer*.

    AirgapError
    ├── UsageError               2   the command line, a request or a policy file is wrong
    ├── RejectedError            3   a verdict said no (carries it)
    ├── ContentError             4   the bytes are not what was signed
    │   ├── FormatError              not in the one form that is allowed
    │   ├── UnsupportedVersionError  a format this release does not know
    │   └── IntegrityError           right form, wrong bytes
    ├── StoreError               5   a registry, a disk or a network failed
    │   ├── NotFoundError
    │   ├── AuthenticationError
    │   └── RegistryCorruptError
    ├── TrustRootError           6   the pinned root does not vouch for this
    ├── SequenceError            7   replay, fork, gap, clock behind the floor
    └── WaitingError             8   something is still to come

Every error carries a stable reason code, a sentence and a hint that says what to do next.
"""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar

__all__ = [
    "AirgapError",
    "AuthenticationError",
    "ContentError",
    "FormatError",
    "IntegrityError",
    "NotFoundError",
    "RegistryCorruptError",
    "RejectedError",
    "SequenceError",
    "StoreError",
    "TrustRootError",
    "UnsupportedVersionError",
    "UsageError",
    "WaitingError",
    "is_hidden",
    "safe",
]

_MAX_SHOWN = 2000
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks that no font shows: fillers, joiners, variation selectors (Unicode calls them
# Default_Ignorable_Code_Point; the others of that list are in the categories above).
_INVISIBLE = frozenset(
    map(
        chr,
        (
            0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0,
            *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
        ),
    )
)  # fmt: skip


def safe(text: object, *, newlines: bool = False) -> str:
    r"""Return `text` with every character that a terminal or a reader could be fooled by shown.

    Control, format (bidi, zero-width), surrogate, private and unassigned characters become
    ``\u{..}``; text of more than 2000 characters is cut. Source: threat model, A133 and A134.
    """
    string = str(text)
    cut = len(string) > _MAX_SHOWN
    shown = "".join(
        character
        if (newlines and character == "\n") or not is_hidden(character)
        else f"\\u{{{ord(character):x}}}"
        for character in string[:_MAX_SHOWN]
    )
    return shown + "…" if cut else shown


def is_hidden(character: str) -> bool:
    """Tell whether a terminal or a reader could be fooled by `character`."""
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _INVISIBLE


class AirgapError(Exception):
    """Anything that could not be done, with its reason code, sentence, hint and exit code.

    `message` is one sentence for people; `reason` a stable code for programs; `hint` the next
    move (the class's own, unless a better one is known).
    """

    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = "Report this: it is a bug."

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        self.message = safe(message)
        self.reason = reason
        self.hint = safe(self.default_hint if hint is None else hint)
        super().__init__(self.message)

    def to_json(self) -> dict[str, object]:
        """Return the object that `--format json` prints on the last line of stderr."""
        return {
            "error": type(self).__name__,
            "code": self.exit_code,
            "reason": self.reason,
            "message": self.message,
            "hint": self.hint,
        }


class UsageError(AirgapError):
    """The command line, a request or a policy file asks for what cannot be done."""

    exit_code = 2
    default_hint = "Fix the command line, request or policy file."


class RejectedError(AirgapError):
    """A verdict said no. `verdict` is the answer that is printed."""

    exit_code = 3
    default_hint = "Do not load this bundle; read the findings."

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        verdict: Any,  # noqa: ANN401 - a trust.Verdict, and this module imports nothing of ours
        hint: str | None = None,
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.verdict = verdict


class ContentError(AirgapError):
    """Bytes that came from outside are not what they must be."""

    exit_code = 4
    default_hint = "Obtain the bundle again; if it recurs, treat the medium as tampered with."


class FormatError(ContentError):
    """Bytes that are not in the one form that is allowed."""


class UnsupportedVersionError(ContentError):
    """A document of a format version, or with a required feature, that this release lacks."""

    default_hint = "Bring a release of airgap that reads this format across first."


class IntegrityError(ContentError):
    """Bytes in the right form that do not have the digest or size that was signed."""


class StoreError(AirgapError):
    """A registry, a disk or a network did not do what was asked. `message` says which side."""

    exit_code = 5
    default_hint = "Check network, disk and credentials, then run the command again: it resumes."


class NotFoundError(StoreError):
    """What was asked for is not there."""

    default_hint = "Check the name and the digest; the store answered that it has no such thing."


class AuthenticationError(StoreError):
    """A registry refused the credentials, or asked for some where there are none."""

    default_hint = "Log in (docker login, podman login, skopeo login) or name --authfile."


class RegistryCorruptError(StoreError):
    """A registry answers with other bytes than those it acknowledged."""

    default_hint = (
        "The registry holds damaged content under this digest and pushing again does not heal it: "
        "remove what refers to it, run the registry's garbage collection offline, then run again."
    )


class TrustRootError(AirgapError):
    """The pinned trust root does not vouch for this bundle."""

    exit_code = 6
    default_hint = "Bring a fresh trust root across by another way than the bundles."


class SequenceError(AirgapError):
    """Replay, fork, gap, or a clock behind the floor."""

    exit_code = 7
    default_hint = "Look at the ledger; a person decides."


class WaitingError(AirgapError):
    """A volume, a signature or an approval is still to come."""

    exit_code = 8
    default_hint = "Wait for it, or fetch it, then run again."
