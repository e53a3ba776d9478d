"""A camera is enrolled once, by the city it belongs to, whatever fails in between."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.adapters.clock import SystemClock
from agent.adapters.credential import DeviceCredential
from agent.adapters.enrolment_service import EnrolmentService
from agent.adapters.identity import identify
from agent.config import Config
from agent.core.enrolment.claim import Wifi
from agent.core.enrolment.exchange import Answer, Order, Outcome, Request, key_digest, sign_confirmation, sign_proof
from agent.core.enrolment.signs import Stage
from agent.core.policy.clock import ClockQuality
from agent.errors import ClaimSignatureError, ClaimUsedError, EnrolmentUnreachableError
from agent.link.enrol import Enrolment
from provisioning.enrolment.desk import MOST_ASKS
from tests.fakes.claims import order_key
from tests.fakes.clock import FakeClock
from tests.fakes.enrolling import EnrollingCity, camera_config
from tests.fakes.power_cut import PowerCut

CAMERA = "market-street-1"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrollingCity]:
    """A city whose service listens; cameras of many names enrol in it."""
    city = EnrollingCity(tmp_path_factory.mktemp("city"))
    with city.serving():
        yield city


def enrolment(config: Config, board: str | None = None, **other: Any) -> Enrolment:
    return Enrolment(config, board=board, clock=other.pop("clock", SystemClock()), **other)


def give(config: Config, order: Order, place: str = "cable") -> None:
    path = config.enrolment.folder / "order.json" if place == "cable" else config.enrolment.card
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(order.to_bytes())


def show(config: Config, sealed: bytes) -> None:
    """Let the recorder have seen a code."""
    config.policy.outbox.mkdir(parents=True, exist_ok=True)
    (config.policy.outbox / "found.claim").write_bytes(sealed)


def names_of(config: Config) -> list[str]:
    certificates = x509.load_pem_x509_certificates(config.link.credential.read_bytes())
    return [str(certificate.subject.rfc4514_string()) for certificate in certificates]


def files_of(config: Config) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in config.enrolment.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["cable", "card"])
def test_who_has_the_work_order_is_enrolled_at_once(founded: EnrollingCity, tmp_path: Path, place: str) -> None:
    config = camera_config(tmp_path, founded.office)
    camera = f"at-once-{place}"
    give(config, founded.order(2 if place == "card" else 3, camera_id=camera), place)

    assert enrolment(config).step().stage is Stage.ENROLLED

    assert names_of(config)[0] == f"CN={camera}"
    assert config.link.credential.stat().st_mode & 0o777 == 0o600
    named = identify(config, config.link.folder)
    assert named is not None
    assert (named.camera.id, named.link.host) == (camera, "localhost")
    assert (config.policy.inbox / "enrolled.claim").exists()
    assert not config.enrolment.card.exists()
    assert set(files_of(config)) == {config.enrolment.folder / "stage.json"}
    assert enrolment(config).step().stage is Stage.ENROLLED


def test_who_saw_a_code_waits_for_a_person_to_read_another(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    order = founded.order(4, key=False, camera_id="shown")
    show(config, order.claim)
    camera = enrolment(config)

    waiting = camera.step()
    assert waiting.stage is Stage.PENDING
    assert camera.step().code == waiting.code
    assert not config.link.credential.exists()
    confirmed = founded.desk.confirm(sign_confirmation(order_key(4), order.claim, waiting.code), now=founded.now())

    assert (confirmed.camera_id, confirmed.others) == ("shown", 0)
    assert camera.step().stage is Stage.ENROLLED
    assert names_of(config)[0] == "CN=shown"


def test_a_passer_by_who_was_faster_gains_nothing(founded: EnrollingCity, tmp_path: Path) -> None:
    order = founded.order(5, key=False, camera_id="raced")
    passer_by, camera = (camera_config(tmp_path / name, founded.office) for name in ("passer-by", "camera"))
    for config in (passer_by, camera):
        show(config, order.claim)

    theirs = enrolment(passer_by).step()
    ours = enrolment(camera).step()
    assert theirs.code != ours.code
    confirmed = founded.desk.confirm(sign_confirmation(order_key(5), order.claim, ours.code), now=founded.now())

    assert confirmed.others == 1
    assert enrolment(camera).step().stage is Stage.ENROLLED
    lost = enrolment(passer_by).step()
    assert lost.stage is Stage.REFUSED
    assert "another key" in lost.reason
    assert not passer_by.link.credential.exists()


def test_too_many_askers_spoil_a_claim_for_all_of_them(founded: EnrollingCity, tmp_path: Path) -> None:
    order = founded.order(6, key=False, camera_id="crowded")
    stages = []
    for asker in range(MOST_ASKS + 2):
        config = camera_config(tmp_path / str(asker), founded.office)
        show(config, order.claim)
        stages.append(enrolment(config).step())

    assert [standing.stage for standing in stages] == [Stage.PENDING] * MOST_ASKS + [Stage.REFUSED] * 2
    with pytest.raises(ClaimUsedError):
        founded.desk.confirm(sign_confirmation(order_key(6), order.claim, stages[0].code), now=founded.now())
    assert "crowded" not in founded.authority.names()


def test_guessing_codes_spoils_a_claim(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    order = founded.order(7, key=False, camera_id="guessed")
    show(config, order.claim)
    right = enrolment(config).step().code
    wrong = f"{(int(right) + 1) % 1_000_000:06}"

    for _ in range(5):
        with pytest.raises(ClaimSignatureError):
            founded.desk.confirm(sign_confirmation(order_key(7), order.claim, wrong), now=founded.now())

    with pytest.raises(ClaimUsedError):
        founded.desk.confirm(sign_confirmation(order_key(7), order.claim, right), now=founded.now())
    assert "guessed" not in founded.authority.names()


@pytest.mark.parametrize(
    ("why", "camera", "other"),
    [
        ("another one", "elsewhere", {"authority_pin": b"\x00" * 32}),
        ("ended", "late", {"issued_at": -40, "expires_at": -1}),
        ("for board", "bound", {"board": "00000000deadbeef"}),
    ],
)
def test_a_claim_that_does_not_fit_gets_nobody_a_certificate(
    founded: EnrollingCity, tmp_path: Path, why: str, camera: str, other: dict[str, Any]
) -> None:
    config = camera_config(tmp_path, founded.office)
    times = {key: founded.now() + timedelta(days=value) for key, value in other.items() if isinstance(value, int)}
    order = founded.order(8, camera_id=camera, **{**other, **times})
    asked = Request(claim=order.claim, request=_request(config, camera), proof=b"\x00" * 64)

    answer = founded.desk.enrol(asked, now=founded.now())

    assert why in answer.reason
    assert camera not in founded.authority.names()


def test_a_forged_claim_is_no_use_to_camera_or_city(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    sealed = bytearray(founded.order(9, camera_id="forged").claim)
    sealed[20] ^= 1
    give(config, Order(claim=bytes(sealed), key=order_key(9)))

    assert enrolment(config).step().stage is Stage.CLAIM_BAD
    answer = founded.desk.enrol(Request(claim=bytes(sealed), request=_request(config, "forged")), now=founded.now())

    assert answer.error == "ClaimSignatureError"
    assert not config.link.credential.exists()


def test_a_name_that_is_taken_needs_an_order_that_says_so(founded: EnrollingCity, tmp_path: Path) -> None:
    first, second, third = (camera_config(tmp_path / name, founded.office) for name in ("first", "second", "third"))
    give(first, founded.order(10, camera_id="taken"))
    enrolment(first).step()
    give(second, founded.order(11, camera_id="taken"))
    give(third, founded.order(12, camera_id="taken", replaces=True))

    refused = enrolment(second).step()
    assert refused.stage is Stage.REFUSED
    assert "enrolled already" in refused.reason
    assert enrolment(third).step().stage is Stage.ENROLLED

    old, new = (x509.load_pem_x509_certificates(one.link.credential.read_bytes())[0] for one in (first, third))
    crl = x509.load_pem_x509_crl(founded.authority.crl_file.read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(old.serial_number) is not None
    assert crl.get_revoked_certificate_by_serial_number(new.serial_number) is None


def test_a_revoked_camera_does_not_come_back_with_its_old_claim(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    order = founded.order(13, camera_id="revoked")
    request = _request(config, "revoked")
    asked = Request(claim=order.claim, request=request)
    code = founded.desk.enrol(asked, now=founded.now()).code
    assert code is not None
    founded.desk.confirm(sign_confirmation(order_key(13), order.claim, code), now=founded.now())
    founded.authority.revoke("revoked", now=founded.now())

    answer = founded.desk.enrol(asked, now=founded.now())

    assert answer.error == "CameraTakenError"
    assert answer.chain == ""


def test_a_claim_for_another_site_than_the_grants_is_refused(tmp_path: Path) -> None:
    city = EnrollingCity(tmp_path / "city", sites_of=lambda _: frozenset({"harbour"}))
    config = camera_config(tmp_path / "camera", city.office)
    order = city.order(14)

    answer = city.desk.enrol(Request(claim=order.claim, request=_request(config, CAMERA)), now=city.now())

    assert answer.error == "ClaimElsewhereError"
    assert "harbour" in answer.reason


def test_a_camera_keeps_its_name(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    give(config, founded.order(15, camera_id="named-once"))
    enrolment(config).step()
    give(config, founded.order(16, camera_id="named-twice"))

    standing = enrolment(config).step()

    assert standing.stage is Stage.CLAIM_BAD
    named = identify(config, config.link.folder)
    assert named is not None
    assert named.camera.id == "named-once"


def test_the_wireless_network_is_written_down_before_anybody_is_asked(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    assert config.enrolment.networks is not None
    give(config, founded.order(17, camera_id="wireless", wifi=Wifi(ssid="Stadt", secret="geheim geheim")))

    standing = enrolment(config, make_service=lambda *_: Unreachable()).step()

    written = config.enrolment.networks / "lamppost.nmconnection"
    assert standing.unreachable
    assert "psk=geheim geheim\n" in written.read_text(encoding="utf-8")
    assert written.stat().st_mode & 0o777 == 0o600


def test_a_network_that_cannot_be_written_down_stops_nobody_who_has_a_cable(
    founded: EnrollingCity, tmp_path: Path
) -> None:
    config = camera_config(tmp_path, founded.office)
    assert config.enrolment.networks is not None
    config.enrolment.networks.rmdir()
    give(config, founded.order(21, camera_id="cabled", wifi=Wifi(ssid="Stadt", secret="geheim geheim")))

    assert enrolment(config).step().stage is Stage.ENROLLED


def test_a_board_whose_clock_stands_in_1970_enrols(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    give(config, founded.order(18, camera_id="no-clock"))
    fresh = FakeClock(datetime(1970, 1, 1, 0, 1, tzinfo=UTC), quality=ClockQuality.UNKNOWN)

    assert enrolment(config, clock=fresh).step().stage is Stage.ENROLLED


def test_a_board_that_knows_the_time_holds_it_against_the_service(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    give(config, founded.order(19, camera_id="late-city"))
    # The service's certificate is judged by the system's clock; a claim's end by the port's.
    late = FakeClock(founded.later(timedelta(days=365)), quality=ClockQuality.SYNCHRONISED)

    assert enrolment(config, clock=late).step().stage is Stage.CLAIM_BAD


def test_a_captive_portal_is_not_the_city(founded: EnrollingCity, tmp_path: Path) -> None:
    other = EnrollingCity(tmp_path / "portal", office=founded.office)
    config = camera_config(tmp_path / "camera", founded.office)
    with other.serving():
        give(config, founded.order(20, camera_id="portal", enrol=other.claim().enrol))

        standing = enrolment(config).step()

    assert standing.unreachable
    assert "not the city's" in standing.reason
    assert not config.link.authority.exists()


class Unreachable(EnrolmentService):
    """A network that is down."""

    def __init__(self) -> None:
        """Reach nobody."""

    def fetch_root(self) -> bytes:
        raise EnrolmentUnreachableError("no network")

    def ask(self, request: Request, root: bytes, *, clock_known: bool) -> Answer:
        raise EnrolmentUnreachableError("no network")


class Power:
    """Cuts the power before, or just after, the n-th thing that a camera does to its disk or asks the city."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.left = at
        self._after = after
        self._machine = threading.get_ident()  # the city's thread is another machine
        calls = ((Path, "rename"), (Path, "unlink"), (EnrolmentService, "ask"), (EnrolmentService, "fetch_root"))
        for owner, name in calls:
            monkeypatch.setattr(owner, name, self._failing(getattr(owner, name)))

    def _failing(self, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._machine:
                return real(*args, **kwargs)
            self.left -= 1
            if self.left == 0 and not self._after:
                raise PowerCut
            result = real(*args, **kwargs)
            if self.left == 0:
                raise PowerCut
            return result

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_power_may_fail_at_any_step(founded: EnrollingCity, tmp_path: Path, after: bool) -> None:
    cuts = 0
    for at in range(1, 60):
        config = camera_config(tmp_path / str(at), founded.office)
        name = f"cut-{'after' if after else 'before'}-{at}"
        give(config, founded.order(100 + at + (60 if after else 0), camera_id=name))
        with pytest.MonkeyPatch.context() as patched:
            Power(patched, at, after=after)
            try:
                enrolment(config).step()
            except PowerCut:
                cuts += 1
            else:
                break

        standing = enrolment(config).step()

        assert standing.stage is Stage.ENROLLED, (at, standing)
        assert names_of(config)[0] == f"CN={name}"
        assert (config.policy.inbox / "enrolled.claim").exists()
        assert not (config.enrolment.folder / "order.json").exists()
    assert cuts >= 10


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_citys_power_may_fail_at_any_step_too(founded: EnrollingCity, tmp_path: Path, after: bool) -> None:
    cuts = 0
    for at in range(1, 60):
        name = f"city-cut-{'after' if after else 'before'}-{at}"
        number = 30 + at + (10 if after else 0)
        order = founded.order(number, camera_id=name)
        config = camera_config(tmp_path / str(at), founded.office)
        request = _request(config, name)
        asked = Request(claim=order.claim, request=request, proof=sign_proof(order_key(number), digest_of(request)))
        with pytest.MonkeyPatch.context() as patched:
            Power(patched, at, after=after)
            try:
                founded.desk.enrol(asked, now=founded.now())
            except PowerCut:
                cuts += 1
            else:
                break

        answer = founded.desk.enrol(asked, now=founded.now())

        assert answer.outcome is Outcome.ISSUED, (at, answer)
        assert founded.desk.enrol(asked, now=founded.now()).chain == answer.chain
    assert cuts >= 3


def test_an_answer_that_was_lost_is_given_again(founded: EnrollingCity, tmp_path: Path) -> None:
    config = camera_config(tmp_path, founded.office)
    order = founded.order(90, camera_id="lost-answer")
    request = _request(config, "lost-answer")
    asked = Request(claim=order.claim, request=request)
    code = founded.desk.enrol(asked, now=founded.now()).code
    assert code is not None
    founded.desk.confirm(sign_confirmation(order_key(90), order.claim, code), now=founded.now())

    first = founded.desk.enrol(asked, now=founded.now())
    again = founded.desk.enrol(asked, now=founded.later(timedelta(days=60)))

    assert first.chain
    assert again.chain == first.chain


def _request(config: Config, camera_id: str) -> str:
    config.link.credential.parent.mkdir(parents=True, exist_ok=True)
    return DeviceCredential(config.link.credential, config.link.authority, camera_id).request()


def digest_of(request: str) -> bytes:
    key = x509.load_pem_x509_csr(request.encode()).public_key()
    return key_digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
