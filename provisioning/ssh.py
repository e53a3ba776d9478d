"""How this desk calls ssh: with keys, with nothing forwarded, and with what it remembers of a board kept apart.

Every board has the same address on its USB cable, and a board that takes another's place takes its name. So
what is remembered of one goes neither by the address nor by the name alone: `Remembered` says by what.
"""

from dataclasses import dataclass
from pathlib import Path

from agent.errors import TransportError, UsageError
from provisioning.words import words

SSH_FAILED = 255  # ssh(1): its own failure, not the command's
OPTIONS = (
    "BatchMode=yes",  # a key, never a password prompt in the middle of a step
    "PasswordAuthentication=no",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",  # a cable that was pulled is noticed within a quarter of a minute
    "ServerAliveCountMax=3",
    "StrictHostKeyChecking=accept-new",  # a fresh board has a key that nobody knows; after the first time it is known
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "ControlMaster=no",
    "UpdateHostKeys=no",
    "LogLevel=ERROR",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Under which name, and where, a board's key is remembered.

    Attributes:
        file: As ssh's `known_hosts`.
        name: What stands there in place of the address.
    """

    file: Path
    name: str

    @classmethod
    def of_camera(cls, camera_id: str) -> "Remembered":
        """Remember a board among the others that this person knows, by the camera's name."""
        return cls(file=Path("~/.ssh/known_hosts").expanduser(), name=f"lamppost-{camera_id}")

    @classmethod
    def of_nobody(cls) -> "Remembered":
        """Remember nothing: for what may be asked of any board, and gives nothing away."""
        return cls(file=Path("/dev/null"), name="lamppost")

    @property
    def forgetting(self) -> str:
        """What a person runs who knows that this is another board now."""
        return f"ssh-keygen -R {self.name} -f {self.file}"


def command(host: str, remembered: Remembered, *, program: str = "ssh") -> list[str]:
    """Return the words that begin a call; the command for the other end follows as one more.

    Args:
        host: As ssh takes it: name, address, user@name, or ssh://user@name:port.
        remembered: How the board's key is remembered.
        program: ssh itself.

    Raises:
        UsageError: ssh would take the host for something else.
    """
    if host.startswith("-") or any(character.isspace() for character in host) or not host:
        raise UsageError(words("cable.no_host", host=repr(host)))
    options = (*OPTIONS, f'UserKnownHostsFile="{remembered.file}"', f"HostKeyAlias={remembered.name}")
    return [program, *(word for option in options for word in ("-o", option)), "-T", "--", host]


def unreachable(host: str, said: str, remembered: Remembered) -> TransportError:
    """Return what to tell of a call that failed with `SSH_FAILED`, having `said` something."""
    if "host key verification failed" in said.lower():
        return TransportError(
            words("cable.other_board", host=host), hint=words("cable.other_board_hint", command=remembered.forgetting)
        )
    last = (said.strip().splitlines() or [words("cable.silent")])[-1]
    return TransportError(words("cable.unreachable", host=host, why=last[:200]), hint=words("cable.unreachable_hint"))
