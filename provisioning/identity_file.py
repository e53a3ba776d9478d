"""Read the file that holds a person's identities, as age-keygen writes it."""

from pathlib import Path

from agent.core.sealing.recipients import Identity, parse_identities
from agent.errors import KeyFileError

MAX_IDENTITY_FILE_BYTES = 1024 * 1024  # a year of daily identities is 40 KB


def read_identities(path: Path) -> tuple[Identity, ...]:
    """Return the identities in the file at `path`, at least one.

    Raises:
        KeyFileError: It cannot be read, or is too large or no text.
        KeyFormatError: A line is not a native identity, or there is none.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_IDENTITY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > MAX_IDENTITY_FILE_BYTES:
        raise KeyFileError(f"{path} is larger than {MAX_IDENTITY_FILE_BYTES} bytes, expected an identity file")
    try:
        text = raw.decode("utf-8")  # comments may be in any language
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path} is not text, expected an identity file") from error
    return parse_identities(text)
