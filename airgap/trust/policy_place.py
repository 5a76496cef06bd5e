"""Place: one value of a policy file, with its line; typed getters that refuse by file and line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airgap.errors import FormatError, UsageError
from airgap.oci.strict_json import decode
from airgap.trust.duration import parse_duration

if TYPE_CHECKING:
    import re
    from datetime import timedelta
    from enum import StrEnum

__all__ = ["Place"]

_TAG: Final = "tag:yaml.org,2002:"
_KINDS: Final = {"str": "text", "int": "a number", "map": "a mapping", "seq": "a list"}
_Choice = TypeVar("_Choice", bound="StrEnum")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A value where it stands: in `file`, on `line` (from 1), at `path` (empty: all of it)."""

    node: Any
    file: str
    line: int
    path: str = ""

    @classmethod
    def of(cls, data: bytes, file: str) -> Place:
        """Return the whole document. Raises UsageError ``policy-invalid``."""
        from ruamel.yaml import YAML  # noqa: PLC0415 - only where a policy is read

        try:
            text = data.decode("utf-8")
            if file.endswith(".json"):
                decode(data, "the policy")
                # YAML does not take the tabs that JSON may be indented with; no string has one.
                text = text.replace("\t", " ")
            node = YAML(typ="safe", pure=True).compose(text)
        except FormatError as error:
            raise _invalid(f"{file}: {error.message}") from error
        except Exception as error:
            # Not only YAMLError: what nests too deep ends in RecursionError, and so on.
            mark = getattr(error, "problem_mark", None)
            line = "" if mark is None else f" line {mark.line + 1}"
            problem = getattr(error, "problem", None) or "it cannot be read"
            raise _invalid(f"{file}{line} is not YAML 1.2: {problem}") from error
        if node is None:
            raise _invalid(f"{file} is empty")
        return cls(node=node, file=file, line=1)

    def fields(self, *known: str) -> dict[str, Place]:
        """Return the values of a mapping with no keys but `known` (any, where none is named)."""
        if self._kind != "map":
            raise self._expected("a mapping")
        found: dict[str, Place] = {}
        for key, value in self.node.value:
            line = key.start_mark.line + 1
            name = key.value if key.tag == f"{_TAG}str" else None
            place = Place(
                node=value, file=self.file, line=line, path=f"{self.path}.{name}".lstrip(".")
            )
            if name is None:
                raise Place(node=key, file=self.file, line=line).invalid("a key that is no text")
            if known and name not in known:
                raise place.invalid(f"unknown field {place.path!r:.200}")
            if name in found:
                raise place.invalid(f"{place.path!r:.200} stands there twice")
            found[name] = place
        return found

    def text(self) -> str:
        """Return the text that stands here."""
        if self._kind != "str":
            raise self._expected("text")
        return str(self.node.value)

    def matching(self, pattern: re.Pattern[str], what: str) -> str:
        """Return the text that stands here, all of which `pattern` matches; `what` describes it."""
        text = self.text()
        if pattern.fullmatch(text) is None:
            raise self.invalid(f"{self.path} is not {what}")
        return text

    def choice(self, choices: type[_Choice]) -> _Choice:
        """Return the one of `choices` that stands here."""
        return choices(self.one_of(*choices))

    def one_of(self, *texts: str) -> str:
        """Return the one of `texts` that stands here."""
        text = self.text()
        if text not in texts:
            raise self.invalid(f"{self.path} is {text!r:.100}, not {' | '.join(texts)}")
        return text

    def duration(self) -> timedelta:
        """Return the duration that stands here."""
        text = self.text()
        span = parse_duration(text)
        if span is None:
            raise self.invalid(f"{self.path} is {text!r:.100}, no duration such as 30d, 12h or 5m")
        return span

    def is_one(self) -> bool:
        """Tell whether the number 1 stands here."""
        return self._kind == "int" and self.node.value == "1"

    def invalid(self, problem: str) -> UsageError:
        """Return the error about what stands here."""
        return _invalid(f"{self.file} line {self.line}: {problem}")

    def contradictory(self, problem: str) -> UsageError:
        """Return the error about values that cannot hold together."""
        return UsageError(
            f"{self.file} line {self.line}: {problem}",
            reason="policy-contradictory",
            hint="See docs/policy.md; airgap policy check FILE tells what a policy says.",
        )

    def later(self, what: str) -> UsageError:
        """Return the error about what a later release will judge."""
        return UsageError(
            f"{self.file} line {self.line}: {what} cannot be judged by this release yet",
            reason="not-supported-yet",
            hint="Leave it out; nothing of a policy is ever ignored in silence.",
        )

    @property
    def _kind(self) -> str:
        return str(self.node.tag).removeprefix(_TAG)

    def _expected(self, what: str) -> UsageError:
        found = _KINDS.get(self._kind, "something else")
        return self.invalid(f"expected {what} in {self.path or 'the policy'}, got {found}")


def _invalid(message: str) -> UsageError:
    return UsageError(
        message,
        reason="policy-invalid",
        hint="See docs/policy.md and schemas/policy.schema.json.",
    )
