"""The device's log key, sealed by the board's TPM 2.0.

Checkpoints are signed with Ed25519, which TPMs as a rule cannot do. So the TPM does not sign: it seals the key's
seed, 32 bytes, under its own storage key, and gives it back to this board alone. On the disk lies what only this
TPM opens; while the recorder runs, the seed is in its memory.

What that is worth: a card without its board signs nothing. What it is not: whoever has the board and can run their own
software on it can ask the TPM as we do, for the seed is bound to the board and not to what was booted (a PCR
policy would have to be made anew with every update of the firmware, on the pole). On the bus between processor and
TPM the seed is encrypted, which a listener does not undo, yet whoever stands in between as another TPM does.

Needs the extra `tpm` (tpm2-pytss, which is built against Debian's libtss2-dev).
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.errors import LogKeyError, StorageError

DEVICE = "device:/dev/tpmrm0"  # the kernel's resource manager: others may use the TPM at the same time
_MAX_BYTES = 8 * 1024
_VERSION = 1
_SEED_BYTES = 32


class TpmKeyring:
    """The `Keyring` of a device with a TPM 2.0; makes its key if there is none at `path`.

    Args:
        path: Where what the TPM sealed lies.
        tcti: How the TPM is reached, as the TSS spells it.

    Raises:
        LogKeyError: There is no TPM, it did not seal this, or the file is none of ours.
        StorageError: The file cannot be written.
    """

    kind = "tpm"

    def __init__(self, path: Path, *, tcti: str = DEVICE) -> None:
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            sealed = _seal(key.private_bytes_raw(), tcti)
            make_folders(path.parent)
            write_atomically(path, json.dumps({"version": _VERSION, **sealed}).encode() + b"\n", mode=0o600)
        self._key = Ed25519PrivateKey.from_private_bytes(_unseal(path, tcti))

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, 64 bytes."""
        return self._key.sign(message)


def _seal(seed: bytes, tcti: str) -> dict[str, str]:
    with _tpm(tcti) as (tss, tpm):
        parent, session = _parent(tss, tpm), None
        try:
            session = _session(tss, tpm, parent)
            bound = tss.TPMA_OBJECT.FIXEDTPM | tss.TPMA_OBJECT.FIXEDPARENT
            # No lockout: a camera that is restarted often must not be kept from its own key.
            free = tss.TPMA_OBJECT.USERWITHAUTH | tss.TPMA_OBJECT.NODA
            template = tss.TPM2B_PUBLIC(tss.TPMT_PUBLIC.parse("keyedhash", objectAttributes=bound | free))
            secret = tss.TPM2B_SENSITIVE_CREATE(tss.TPMS_SENSITIVE_CREATE(userAuth=b"", data=seed))
            private, public, *_ = tpm.create(parent, secret, template, session1=session)
            return {"private": private.marshal().hex(), "public": public.marshal().hex()}
        finally:
            _flush(tpm, parent, session)


def _unseal(path: Path, tcti: str) -> bytes:
    private, public = _read(path)
    with _tpm(tcti) as (tss, tpm):
        parent, session, loaded = _parent(tss, tpm), None, None
        try:
            session = _session(tss, tpm, parent)
            loaded = tpm.load(parent, tss.TPM2B_PRIVATE.unmarshal(private)[0], tss.TPM2B_PUBLIC.unmarshal(public)[0])
            seed = bytes(tpm.unseal(loaded, session1=session))
        finally:
            _flush(tpm, parent, session, loaded)
    if len(seed) != _SEED_BYTES:
        raise LogKeyError(f"what the TPM sealed in {path} has {len(seed)} bytes, expected {_SEED_BYTES}")
    return seed


def _read(path: Path) -> tuple[bytes, bytes]:
    try:
        stored = json.loads(read_capped(path, max_bytes=_MAX_BYTES))
        if stored["version"] != _VERSION:
            raise LogKeyError(f"{path} is of version {stored['version']}, expected {_VERSION}")
        return bytes.fromhex(stored["private"]), bytes.fromhex(stored["public"])
    except OSError as error:
        raise LogKeyError(f"cannot read the log's key {path}: {(error.strerror or str(error)).lower()}") from error
    except StorageError as error:
        raise LogKeyError(f"cannot read the log's key: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LogKeyError(f"{path} is not what a TPM sealed") from error


# --- the TPM ------------------------------------------------------------------


@contextmanager
def _tpm(tcti: str) -> Iterator[tuple[Any, Any]]:
    """Lend the library and a connection; whatever the TPM refuses is an error of ours."""
    # The TSS writes every failure to stderr by itself; what counts is raised.
    os.environ.setdefault("TSS2_LOG", "all+NONE")
    try:
        import tpm2_pytss  # noqa: PLC0415 - an extra
    except (ImportError, OSError) as error:
        raise LogKeyError(
            "a TPM is to keep the log's key, and tpm2-pytss is not installed", hint="pip install 'lamppost[tpm]'"
        ) from error
    try:
        with tpm2_pytss.ESAPI(tcti) as tpm:
            yield tpm2_pytss, tpm
    except tpm2_pytss.TSS2_Exception as error:
        raise LogKeyError(
            f"the TPM at {tcti} does not give the log's key: {error}",
            hint="is it there, and the one that sealed it? a card in another board needs a new log",
        ) from error


def _parent(tss: Any, tpm: Any) -> Any:  # noqa: ANN401 - the library has no types
    """Return the storage key, which the TPM makes anew, always the same, from a seed that never leaves it."""
    handle, *_ = tpm.create_primary(tss.TPM2B_SENSITIVE_CREATE(), "ecc256:aes128cfb", tss.ESYS_TR.OWNER)
    return handle


def _session(tss: Any, tpm: Any, parent: Any) -> Any:  # noqa: ANN401 - as above
    """Return a session, salted by the storage key, in which secrets cross the bus encrypted."""
    session = tpm.start_auth_session(parent, tss.ESYS_TR.NONE, tss.TPM2_SE.HMAC, "aes128cfb", tss.TPM2_ALG.SHA256)
    kind = tss.TPMA_SESSION
    tpm.trsess_set_attributes(session, kind.ENCRYPT | kind.DECRYPT | kind.CONTINUESESSION)
    return session


def _flush(tpm: Any, *handles: Any) -> None:  # noqa: ANN401 - as above
    for handle in handles:
        if handle is not None:
            tpm.flush_context(handle)
