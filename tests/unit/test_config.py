"""The configuration says where and how large; whatever else it says is an error that helps."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent import config
from agent.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = """
[camera]
id = "main-and-4th"
source = "streetscene"
[storage]
footage = "/footage"
[state]
folder = "/state"
runtime = "/run/lamppost"
[policy]
root = "/root.json"
inbox = "/inbox"
outbox = "/outbox"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lamppost.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_minimal_file_gets_the_defaults(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path, MINIMAL))

    assert loaded.camera.id == "main-and-4th"
    assert loaded.segments.length_s == 10


def test_the_commented_example_is_valid_and_names_every_key_with_its_default(tmp_path: Path) -> None:
    text = (ROOT / "lamppost.toml").read_text(encoding="utf-8")
    uncommented = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and line[2:3].islower() else line
        for line in text.splitlines()
    )

    config.load(written(tmp_path, text))
    everything = tomllib.loads(uncommented)

    named = {f"{section}.{key}" for section, keys in everything.items() for key in keys}
    assert named == set(config.known_keys())
    for section, keys in everything.items():
        model = config.Config.model_fields[section].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for key, value in keys.items():
            default = model.model_fields[key].get_default()
            shown = (
                list(default) if isinstance(default, tuple) else str(default) if isinstance(default, Path) else default
            )
            assert model.model_fields[key].is_required() or shown in [value, None], f"{section}.{key}"


def test_an_unknown_key_is_answered_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL.replace('id = "main', 'widht_px = 640\nid = "main'))

    with pytest.raises(ConfigurationError, match=r"camera\.widht_px: unknown key") as refused:
        config.load(path)

    assert refused.value.hint == "did you mean camera.width_px?"
    assert refused.value.exit_status == 78


@pytest.mark.parametrize(
    "line", ["recording = true", "zones = []", 'recipients = ["age1"]', "retention_days = 365", "biometrics = true"]
)
def test_nothing_that_policy_decides_can_be_configured(tmp_path: Path, line: str) -> None:
    for path in (written(tmp_path, f"{line}\n{MINIMAL}"), written(tmp_path, f"{MINIMAL}\n{line}")):
        with pytest.raises(ConfigurationError, match="unknown key"):
            config.load(path)


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPPOST_CAMERA__RATE_HZ", "10")

    loaded = config.load(written(tmp_path, MINIMAL))

    assert (loaded.camera.rate_hz, loaded.camera.id) == (10, "main-and-4th")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LAMPPOST_CAMRA__RATE_HZ", "10", "LAMPPOST_CAMRA__RATE_HZ: unknown section camra"),
        ("LAMPPOST_CAMERA__RTE_HZ", "10", r"camera\.rte_hz: unknown key"),
        ("LAMPPOST_CAMERA", '{"id": ', "environment variable"),
    ],
)
def test_a_variable_that_would_do_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=message):
        config.load(written(tmp_path, MINIMAL))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "main-and-4th"', 'id = "../etc"', "should match pattern"),
        ('source = "streetscene"', 'source = "http://x"', "should match pattern"),
        ('id = "main-and-4th"', 'id = "a"\nwidth_px = 641', "even sides"),
        ("[storage]", "[segments]\nlength_s = 1\n[storage]", "greater than or equal to 2"),
        ("[camera]", "[camera", "is not TOML"),
    ],
)
def test_an_impossible_value_is_refused_and_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        config.load(written(tmp_path, MINIMAL.replace(old, new)))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "absent.toml")


def test_a_secret_comes_from_the_credentials_folder_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert config.credential("feed-url") is None

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert config.credential("feed-url") is None

    (tmp_path / "feed-url").write_text("rtsp://camera/stream\n", encoding="utf-8")
    assert config.credential("feed-url") == "rtsp://camera/stream"


def test_a_camera_that_does_not_know_who_it_is_says_whose_claims_count(tmp_path: Path) -> None:
    nameless = MINIMAL.replace('id = "main-and-4th"\n', "")

    enrolling = config.load(written(tmp_path, f'{nameless}\n[enrolment]\noffices = "/offices"\n'))

    assert enrolling.camera.id == config.UNENROLLED
    with pytest.raises(ConfigurationError, match=r"camera\.id"):
        config.load(written(tmp_path, nameless))
