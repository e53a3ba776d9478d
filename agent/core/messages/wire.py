"""What all payloads share: strict, frozen, versioned JSON of a bounded size.

A payload is one JSON object (RFC 8259, UTF-8). It says its version, `"v": 1`; a field
that the version does not know is refused, not ignored, because a reader that skips
what it does not understand cannot tell a newer sender from a hostile one. Times are
RFC 3339 with an offset, binary is base64 (RFC 4648 5, padded).

Pure: bytes in, values out, and back. Size is checked before a byte is interpreted.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agent.errors import MessageFormatError

KIB = 1024

Text = Annotated[str, StringConstraints(max_length=1024)]  # a sentence for people
# An id that goes into file names and logs.
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]  # SHA-256, hex
CameraId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Index = Annotated[int, Field(ge=0, le=2**53 - 1)]  # RFC 7493 2.2: exact in every language's JSON


def printable(text: str) -> str:
    """Return `text` as a terminal may show it and any database keep it: one line, and nothing that commands either.

    What others send can hold escape sequences, directions to write in, and the NUL that PostgreSQL refuses.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        defer_build=True,  # a link that is never asked for diagnostics need not hold their schema in memory
    )


class Message(Part):
    """A whole payload."""

    MAX_BYTES: ClassVar[int] = 16 * KIB

    v: Literal[1] = 1

    def to_bytes(self) -> bytes:
        """Return the payload.

        Raises:
            MessageFormatError: It would be larger than its kind may be.
        """
        payload = self.model_dump_json().encode()
        self._check_size(payload)
        return payload

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Return what `payload` says.

        Raises:
            MessageFormatError: It is too large, not JSON, of another version, lacks a field or has one too many.
        """
        cls._check_size(payload)
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            message = (
                f"{cls.__name__.lower()}{' ' if where else ''}{where}: {first['msg'][0].lower()}{first['msg'][1:]}"
            )
            # A field that is one too many is named as it was sent; the error's context holds even more.
            raise MessageFormatError(printable(message)[:300]) from None

    @classmethod
    def _check_size(cls, payload: bytes) -> None:
        if len(payload) > cls.MAX_BYTES:
            raise MessageFormatError(
                f"{cls.__name__.lower()} of {len(payload)} bytes, expected at most {cls.MAX_BYTES}"
            )
