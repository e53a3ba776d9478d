"""Where things are and how large they may grow; never what the camera may do.

What may be recorded, for how long, for whom and with which areas hidden comes
from the signed policy alone. Read from one TOML file; an environment variable
such as `LAMPPOST_CAMERA__RATE_HZ=10` overrides one setting. An unknown key is an
error, answered with the nearest known one. A validator may refuse, never change.
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from agent.errors import ConfigurationError

MIB = 1024 * 1024


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("a 4:2:0 picture has even sides")
    return value


EvenPx = Annotated[int, Field(ge=64, le=4096), AfterValidator(_even)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CameraSection(_Section):
    """`[camera]`: which camera this is, and how it is read."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="The name in grants, footage and MQTT topics")
    source: str = Field(
        pattern=r"^(picamera|streetscene(:[a-z-]+)?|v4l2:/.+|file:/?.+|feed:/.+)$",
        description="picamera, v4l2:/dev/videoN, file:PATH, feed:SOCKET or streetscene[:SCENARIO]",
    )
    width_px: EvenPx = 1280
    height_px: EvenPx = 720
    rate_hz: int = Field(default=25, ge=1, le=60)
    rotation_degrees: Literal[0, 90, 180, 270] = 0
    paced: bool = Field(default=True, description="Play a file in its own time; false: as fast as it goes")
    max_exposure_ms: int | None = Field(default=None, ge=1, le=1000, description="Longest exposure, for night")
    exposure: Literal["normal", "short", "long"] = Field(default="normal", description="Sharp walkers or little noise")
    brightness_ev: float = Field(default=0.0, ge=-4, le=4, description="Exposure compensation, in stops")
    focus_dioptres: float | None = Field(
        default=None, ge=0, le=15, description="1 / distance in metres; unset: by itself"
    )


class DetectorSection(_Section):
    """`[detector]`: the net that sees people; whether one may run is the policy's to say."""

    models: Path = Field(
        default=Path("/usr/share/lamppost/models"), description="Folder of .tflite files; one on the signed list runs"
    )
    threads: int = Field(default=1, ge=1, le=8)


Share = Annotated[float, Field(ge=0, le=1)]


class LineSection(_Section):
    """`[[counting.lines]]`: where passages are counted; from left to right for one who looks from start to end."""

    name: str = Field(min_length=1, max_length=60)
    start: tuple[Share, Share]
    end: tuple[Share, Share]


class AreaSection(_Section):
    """`[[counting.areas]]`: where it is counted how many are present."""

    name: str = Field(min_length=1, max_length=60)
    polygon: tuple[tuple[Share, Share], ...]


class GroundPointSection(_Section):
    """`[[counting.ground]]`: a point of the picture, and where on the ground it lies."""

    at: tuple[Share, Share]
    metres: tuple[float, float]


class CountingSection(_Section):
    """`[counting]`: places, drawn at commissioning; whether anything may be counted is the policy's to say.

    Two areas that overlap are refused: by subtraction they would tell of few.
    """

    lines: tuple[LineSection, ...] = Field(default=(), max_length=16)
    areas: tuple[AreaSection, ...] = Field(default=(), max_length=16)
    ground: tuple[GroundPointSection, ...] = Field(
        default=(), max_length=16, description="At least four, for speeds and cyclists; none: neither is counted"
    )


class EncoderSection(_Section):
    """`[encoder]`: H.264."""

    codec: Literal["libx264", "h264_v4l2m2m", "picamera"] = "libx264"
    bitrate_kbit: int = Field(default=4000, ge=100, le=50_000)
    preset: Literal["ultrafast", "superfast", "veryfast"] = "superfast"
    threads: int = Field(default=1, ge=1, le=8)
    caption: bool = Field(default=False, description="Burn the camera's name and the time into the lowest blocks")


class SegmentsSection(_Section):
    """`[segments]`: how footage is cut."""

    length_s: int = Field(default=10, ge=2, le=60)


class StorageSection(_Section):
    """`[storage]`: the ring of sealed segments."""

    footage: Path
    capacity_mib: int = Field(default=16 * 1024, ge=16)
    keep_free_mib: int = Field(default=64, ge=0)
    separate_file_system: bool = Field(
        default=False, description="Refuse to record while `footage` lies on the root file system"
    )


class StateSection(_Section):
    """`[state]`: what must survive a restart, and what need not."""

    folder: Path
    runtime: Path = Field(description="Status and sockets; lost on a reboot, so not on the card")
    log_key: Literal["file", "tpm", "otp"] = Field(
        default="file", description="What keeps the key of the log from whoever has the card; unset: nothing, a file"
    )


class CommissioningSection(_Section):
    """`[commissioning]`: how a technician asks to see what the camera sees."""

    folder: Path | None = Field(
        default=None,
        description="Where requests come and the socket is; unset: `commissioning` in `state.runtime`. Not the link's",
    )


class PolicySection(_Section):
    """`[policy]`: how signed policy arrives and what it is verified against."""

    root: Path = Field(description="The city's first root.json, part of the device's image")
    inbox: Path
    outbox: Path


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
OperatorKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LinkSection(_Section):
    """`[link]`: the process that talks to the network."""

    host: HostName | None = Field(default=None, description="The broker; its certificate must say the same")
    port: int = Field(default=8883, ge=1, le=65_535)
    authority: Path = Field(
        default=Path("/etc/lamppost/fleet-authority.pem"), description="PEM: who vouches for brokers and cameras"
    )
    credential: Path = Field(
        default=Path("/var/lib/lamppost/link/credential.pem"),
        description="PEM: the device's private key, then its certificate chain; replaced when it is renewed",
    )
    folder: Path = Field(default=Path("/var/lib/lamppost/link"), description="What the link must not forget")
    operator_keys: tuple[OperatorKey, ...] = Field(default=(), description="Ed25519, hex: whose reboot is obeyed")
    upload_hosts: tuple[HostName, ...] = Field(default=(), description="Where sealed footage may be sent")
    upload_authority: Path | None = Field(default=None, description="PEM: who vouches for them; else the system's")
    upload_kbit: int = Field(default=4000, ge=8, le=1_000_000, description="Bandwidth uploads may take, in kbit/s")


class EnrolmentSection(_Section):
    """`[enrolment]`: how a camera that nobody knows yet learns who it is; then `camera.id` is left out."""

    offices: Path | None = Field(
        default=None, description="Whose claims count: Ed25519, hex, a line each; unset: the camera's name is in here"
    )
    folder: Path = Field(
        default=Path("/var/lib/lamppost/link/enrolment"), description="What enrolling must not forget until it is done"
    )
    card: Path = Field(
        default=Path("/boot/firmware/lamppost-order.json"), description="Where a prepared card has its order"
    )
    networks: Path | None = Field(
        default=None, description="Where a keyfile for NetworkManager is left; unset: none is written"
    )
    lamp: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9:_-]{1,64}$", description="Name of an LED under /sys/class/leds, such as ACT"
    )


UNENROLLED = "unenrolled"  # what a camera is called until it learns its name; never recorded under


class Config(BaseSettings):
    """Everything in `lamppost.toml`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="LAMPPOST_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    camera: CameraSection
    detector: DetectorSection = DetectorSection()
    counting: CountingSection = CountingSection()
    encoder: EncoderSection = EncoderSection()
    segments: SegmentsSection = SegmentsSection()
    storage: StorageSection
    state: StateSection
    policy: PolicySection
    commissioning: CommissioningSection = CommissioningSection()
    link: LinkSection = LinkSection()
    enrolment: EnrolmentSection = EnrolmentSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; no .env, and no secrets: they are not configuration."""
        return env_settings, init_settings


def commissioning_folder(config: Config) -> Path:
    """Return where a technician's requests come."""
    return config.commissioning.folder or config.state.runtime / "commissioning"


def load(path: Path) -> Config:
    """Read, override and check the configuration.

    Raises:
        ConfigurationError: The file is missing, is not TOML, or says something unknown or impossible.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="name one with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    _refuse_unknown_variables()
    camera, enrolment = written.get("camera", {}), written.get("enrolment", {})
    if isinstance(camera, dict) and isinstance(enrolment, dict) and "offices" in enrolment:
        written["camera"] = {"id": UNENROLLED, **camera}
    try:
        return Config(**written)
    except SettingsError as error:
        raise ConfigurationError(f"an environment variable is not what it must be: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        said = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{path}: {key}: {said[0].lower()}{said[1:]}", hint=_hint(key)) from error


def credential(name: str) -> str | None:
    """Return a secret that systemd hands over (`LoadCredential=`), or None without one.

    Raises:
        ConfigurationError: It is there and cannot be read.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        return None
    try:
        return (Path(folder) / name).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot read the credential {name}: {error.strerror}") from error


def _refuse_unknown_variables() -> None:
    """Pass if every variable that is spelled like a setting names a section; pydantic checks the keys in it.

    Raises:
        ConfigurationError: One does not, and would be ignored.
    """
    for name in os.environ:
        section, nested, key = name.removeprefix("LAMPPOST_").lower().partition("__")
        if name.startswith("LAMPPOST_") and nested and section not in Config.model_fields:
            raise ConfigurationError(f"{name}: unknown section {section}", hint=_hint(f"{section}.{key}"))


def known_keys() -> list[str]:
    """Return every key of the configuration, dotted."""
    keys = []
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [f"{name}.{key}" for key in section.model_fields]
        else:
            keys.append(name)
    return keys


def _hint(key: str) -> str | None:
    known = known_keys()
    if key in known:
        return _allowed(key)
    near = difflib.get_close_matches(key, [*known, *Config.model_fields], n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"


def _allowed(key: str) -> str | None:
    section, _, name = key.partition(".")
    model = Config.model_fields[section].annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    field = model.model_fields[name]
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, (str, int)) for choice in choices):
        return f"expected one of {', '.join(map(str, choices))}"
    return field.description
