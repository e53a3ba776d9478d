"""Hand the wireless network that enrolment left over to NetworkManager, which takes it from root alone."""

from pathlib import Path

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.core.enrolment.networks import KEYFILE_NAME, MAX_KEYFILE_BYTES, keyfile, read_keyfile

# In memory: a camera's root is not written, and the passphrase need not be on the card twice.
CONNECTIONS = Path("/run/NetworkManager/system-connections")


def take_network(left: Path, connections: Path) -> bool:
    """Give NetworkManager the network that lies in `left`; return whether there is one.

    Raises:
        ClaimFormatError: What lies there is not what enrolment writes.
        StorageError: It cannot be read, or written there.
    """
    try:
        text = read_capped(left / KEYFILE_NAME, max_bytes=MAX_KEYFILE_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return False
    content = keyfile(read_keyfile(text)).encode()
    make_folders(connections)
    write_atomically(connections / KEYFILE_NAME, content, mode=0o600)  # or NetworkManager ignores it
    return True
