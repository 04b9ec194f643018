"""The two families of expected failure; anything that is neither is a bug and ends as a 500.

Problem        either of the two; it becomes one RFC 9457 problem document
  Refusal      an answer the caller can act on (4xx); logged at info, counted by code
  Unavailable  nothing happened, the same request may be sent again (503 + Retry-After); logged as a warning
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a request that was refused: where it is, what is wrong, and a stable code."""

    field: str
    message: str
    code: str


class Problem(Exception):  # noqa: N818 (an expected answer, not an error of ours)
    """The request could not be carried out."""

    code: ClassVar[str]
    status: ClassVar[int]

    def __init__(
        self,
        detail: str | None = None,
        *,
        field_errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        **context: object,
    ) -> None:
        """Refuse with the class's docstring as the message, unless `detail` says it better.

        `retry_after` is in seconds. `context` goes to the log: ids only, never a name, number or token.
        """
        self.detail = detail or self.message()
        self.field_errors = tuple(field_errors)
        self.retry_after = retry_after
        self.context = context
        super().__init__(self.detail)

    @classmethod
    def message(cls) -> str:
        return inspect.cleandoc(cls.__doc__ or cls.code).split("\n\n")[0].replace("\n", " ")

    @property
    def title(self) -> str:
        return self.code.replace("_", " ").capitalize()


class Refusal(Problem):
    """The request was refused."""

    code = "refused"
    status = 409


class Unavailable(Problem):
    """The service cannot do this right now. Nothing was changed; send the same request again."""

    code = "unavailable"
    status = 503

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, **context: object) -> None:
        super().__init__(detail, field_errors=(), retry_after=retry_after, **context)
