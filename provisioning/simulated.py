"""The configuration of a camera that a folder on this desk plays: in the demo, and to practise with."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where a camera reports, known from the beginning because nobody enrols it.

    Attributes:
        host: The broker's.
        port: The broker's.
        authority: PEM of the fleet's root.
    """

    host: str
    port: int
    authority: Path


def configuration(
    folder: Path,
    *,
    source: str,
    rate_hz: int,
    camera_id: str | None = None,
    reports: Reports | None = None,
    enrols: bool = False,
) -> str:
    """Return `lamppost.toml` for a camera whose whole card is `folder`.

    Args:
        folder: Absolute.
        source: Where its pictures come from.
        rate_hz: How many a second.
        camera_id: Its name; None if a claim will say.
        reports: Where to; None if it does not, or if a claim will say.
        enrols: Whether it begins as a camera that nobody knows.
    """
    parts: dict[str, dict[str, object]] = {
        "camera": {
            **({} if camera_id is None else {"id": camera_id}),
            "source": source,
            "width_px": 1280,
            "height_px": 720,
            "rate_hz": rate_hz,
        },
        "encoder": {"bitrate_kbit": 3000},
        "storage": {"footage": folder / "footage", "capacity_mib": 512, "keep_free_mib": 0},
        "state": {"folder": folder / "state", "runtime": folder / "run"},
        "policy": {"root": folder / "root.json", "inbox": folder / "inbox", "outbox": folder / "outbox"},
    }
    if reports is not None or enrols:
        parts["link"] = {
            **({} if reports is None else {"host": reports.host, "port": reports.port}),
            "authority": folder / "etc/fleet-authority.pem" if reports is None else reports.authority,
            "credential": folder / "link/credential.pem",
            "folder": folder / "link",
        }
    if enrols:
        parts["enrolment"] = {
            "offices": folder / "offices",
            "folder": folder / "link/enrolment",
            "card": folder / "boot/lamppost-order.json",
        }
    return "\n".join(f"[{name}]\n{_settings(settings)}" for name, settings in parts.items())


def _settings(settings: dict[str, object]) -> str:
    return "".join(
        f"{name} = {value}\n" if isinstance(value, int) else f'{name} = "{_escaped(str(value))}"\n'
        for name, value in settings.items()
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
