"""Whatever an attacker offers is refused by its kind, and nothing has changed: not in memory, not on disk.

The attacker is the broker and everything behind it, one official gone bad, a thief
of the online keys, or a thief of the card. Each test makes one release that differs
from an honest one in one thing.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, Key, Signature, Signer, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, SuccinctRoles

from agent.adapters.policy_store import PolicyStore
from agent.core.bundle import MAX_BUNDLE_BYTES
from agent.core.policy.clock import SIGNING_SLACK, ClockQuality
from agent.core.policy.roles import expected_roles
from agent.errors import (
    BundleFormatError,
    ClauseViolationError,
    DocumentFormatError,
    FreshnessError,
    LamppostError,
    PolicyError,
    RollbackError,
    SignatureError,
)
from agent.recorder.policy_intake import PolicyIntake
from tests.fakes.city import City, key_of, recording_city
from tests.fakes.clock import FakeClock
from tests.fakes.documents import DAY, NOON, grant, hold, restriction, waiver

HOUR = timedelta(hours=1)


class Camera:
    """A camera under attack: what it believes and keeps is compared before and after."""

    def __init__(self, folder: Path, city: City) -> None:
        self.folder = folder
        self.city = city
        self.clock = FakeClock(city.now)
        self.intake = self.restarted()

    def refuses(self, bundle: bytes, kind: type[LamppostError], *, because: str = "") -> None:
        """Offer `bundle`; it is refused as `kind`, in one line with `because` in it, and nothing has changed."""
        self.intake.save_time()
        before = self._everything()
        with pytest.raises(kind) as refused:
            self.intake.offer(bundle)
        assert type(refused.value) is kind
        assert because in str(refused.value)
        assert "\n" not in str(refused.value)
        assert self._everything() == before
        self.intake = self.restarted()
        assert self._everything() == before

    def restarted(self) -> PolicyIntake:
        """Return the camera after a reboot."""
        return PolicyIntake(PolicyStore(self.folder), trusted_root=self.city.trusted_root, clock=self.clock)

    def _everything(self) -> object:
        return (
            self.intake.in_force,
            self.intake.floors,
            {path.name: path.read_bytes() for path in self.folder.iterdir()},
        )


class Alias(Signer):
    """Signs with another's key under a key id of its own."""

    def __init__(self, keyid: str, signer: CryptoSigner) -> None:
        self._keyid = keyid
        self._signer = signer

    @classmethod
    def from_priv_key_uri(cls, *arguments: object) -> "Alias":
        raise NotImplementedError

    @property
    def public_key(self) -> Key:
        key = self._signer.public_key
        return SSlibKey(self._keyid, key.keytype, key.scheme, dict(key.keyval))

    def sign(self, payload: bytes) -> Signature:
        return Signature(self._keyid, self._signer.sign(payload).signature)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    """A camera that obeys the second release of its city, which restricts it; to be copied, not used."""
    city = recording_city()
    camera = Camera(tmp_path_factory.mktemp("prepared"), city)
    camera.intake.offer(city.publish())
    city.put(restriction())
    camera.intake.offer(city.publish())
    return camera


@pytest.fixture
def city(prepared: Camera) -> City:
    """The city of `camera`, after its second release."""
    return prepared.city.twin()


@pytest.fixture
def camera(tmp_path: Path, prepared: Camera, city: City) -> Camera:
    """A camera that obeys the second release of `city`, which restricts it."""
    for kept in prepared.folder.iterdir():
        (tmp_path / kept.name).write_bytes(kept.read_bytes())
    return Camera(tmp_path, city)


# --- rollback -----------------------------------------------------------------------


def test_an_older_release_is_refused(camera: Camera, city: City) -> None:
    old = city.bundle()
    camera.intake.offer(city.publish())

    camera.refuses(old, RollbackError, because="TUF 5.4.3.1")


@pytest.mark.parametrize("role", ["targets", "grants", "restrictions-police-chief"])
def test_an_older_role_in_a_newer_release_is_refused(camera: Camera, city: City, role: str) -> None:
    city.targets.version += 1
    city.roles["grants"].version += 1
    camera.intake.offer(city.publish())
    (city.targets if role == "targets" else city.roles[role]).version -= 1

    camera.refuses(city.publish(), RollbackError, because="TUF 5.5.5")


def test_an_older_snapshot_under_a_newer_timestamp_is_refused(camera: Camera, city: City) -> None:
    city.timestamp.version += 1
    city.snapshot.version -= 1

    camera.refuses(city.sign(), RollbackError, because="TUF 5.4.3.2")


def test_a_missing_root_in_between_is_a_rollback_of_root(camera: Camera, city: City) -> None:
    city.rotate("timestamp", "timestamp-2")
    camera.intake.offer(city.publish())
    city.publish()
    del city.entries["metadata/2.root.json"]
    city.signers["timestamp"] = [key_of("timestamp")]  # the key that was taken out of service, and stolen
    city.sign_online()

    camera.refuses(city.bundle(), RollbackError, because="TUF 5.3.5")


def test_a_role_that_left_the_snapshot_is_refused(camera: Camera, city: City) -> None:
    city.publish()
    del city.targets.delegations.roles["restrictions-police-chief"]
    city.targets.version += 1
    del city.roles["restrictions-police-chief"]

    camera.refuses(city.publish(), RollbackError, because="no longer lists it (TUF 5.5.5)")


def test_a_timestamp_of_one_version_has_one_content(camera: Camera, city: City) -> None:
    city.now += HOUR
    city.sign_online()

    camera.refuses(city.bundle(), RollbackError, because="two timestamps of version 2")


def test_a_newer_version_signed_earlier_is_refused(camera: Camera, city: City) -> None:
    camera.refuses(city.publish(after=-HOUR), RollbackError, because="was signed at")


@pytest.mark.parametrize("version", [0, -1, 2**31, 2**70, 1.5, True, "3", None, float("nan"), float("inf")])
@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_version_is_a_small_positive_integer(camera: Camera, city: City, role: str, version: object) -> None:
    city.publish()
    metadata = getattr(city, role)
    metadata.version = version
    before = camera.intake.in_force

    try:
        city.sign_online()
    except Exception:  # noqa: BLE001 - the library that signs cannot spell this; then nobody can offer it
        return
    with pytest.raises(PolicyError):
        camera.intake.offer(city.bundle())

    assert camera.intake.in_force == before


# --- freeze -------------------------------------------------------------------------


def test_a_release_that_is_no_longer_fresh_is_refused(camera: Camera, city: City) -> None:
    withheld = city.publish()
    camera.clock.advance(8 * DAY)

    camera.refuses(withheld, FreshnessError, because="expired (TUF 5.3.10, 5.4.4")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
def test_an_expired_top_level_role_is_refused(camera: Camera, city: City, role: str) -> None:
    getattr(city, role).expires = NOON - HOUR
    if role == "root":
        city.new_root()

    camera.refuses(city.publish(), FreshnessError, because="expired")


def test_a_timestamp_is_not_fresh_for_longer_than_a_camera_may_be_offline(camera: Camera, city: City) -> None:
    city.lasts = city.charter.offline_for + HOUR

    camera.refuses(city.publish(), FreshnessError, because="allowed: 7 days")


def test_a_timestamp_that_does_not_say_when_it_was_signed_is_refused(camera: Camera, city: City) -> None:
    city.publish()
    del city.timestamp.unrecognized_fields["x-lamppost-signed-at"]
    city.entries["metadata/timestamp.json"] = city._sign("timestamp", city.timestamp)

    camera.refuses(city.bundle(), FreshnessError, because="x-lamppost-signed-at")


# --- mix and match ------------------------------------------------------------------


@pytest.mark.parametrize("role", ["snapshot", "targets", "grants", "restrictions-police-chief"])
def test_metadata_of_another_release_under_this_ones_name_is_refused(camera: Camera, city: City, role: str) -> None:
    other = city.twin()
    other.put(hold())
    for metadata in (other.snapshot, other.targets, *other.roles.values()):
        metadata.expires += DAY
    other.publish()
    city.publish()
    (name,) = [name for name in city.entries if name.endswith(f".{role}.json")]
    (same,) = [name for name in other.entries if name.endswith(f".{role}.json")]

    city.entries[name] = other.entries[same]

    camera.refuses(city.bundle(), BundleFormatError)


def test_a_document_that_is_not_the_one_signed_is_refused(camera: Camera, city: City) -> None:
    city.publish()
    (name,) = [name for name in city.entries if name.endswith("g-2026-001.json")]
    city.entries[name] = city.entries[name].replace(b"15", b"30")

    camera.refuses(city.bundle(), BundleFormatError, because="TUF 5.5.2, 5.6.2, 5.7.3")


@pytest.mark.parametrize("part", ["timestamp.json", "snapshot.json", "targets.json", "grants.json", "g-2026-001.json"])
def test_a_release_with_a_part_missing_is_refused(camera: Camera, city: City, part: str) -> None:
    city.publish()
    for name in [name for name in city.entries if name.endswith(part)]:
        del city.entries[name]

    camera.refuses(city.bundle(), BundleFormatError, because="lacks")


# --- signatures ---------------------------------------------------------------------


@pytest.mark.parametrize("role", ["targets", "grants"])
def test_one_official_short_of_the_threshold_is_too_few(camera: Camera, city: City, role: str) -> None:
    quorum = city.charter.root if role == "targets" else city.charter.approval
    city.signers[role] = city.signers[role][: quorum.threshold - 1]
    (city.targets if role == "targets" else city.roles[role]).version += 1

    camera.refuses(city.publish(), SignatureError, because="TUF 5.3.4")


@pytest.mark.parametrize("role", ["targets", "grants", "snapshot", "timestamp", "restrictions-it-director"])
def test_no_signature_at_all_is_refused(camera: Camera, city: City, role: str) -> None:
    city.signers[role] = []

    camera.refuses(city.publish(), SignatureError)


def test_one_official_signing_thrice_is_one_official(camera: Camera, city: City) -> None:
    city.publish()
    name = f"metadata/{city.roles['grants'].version}.grants.json"
    alone = Metadata(city.roles["grants"])
    one, two, three = city.signers["grants"]
    alone.sign(one)
    mine = alone.signatures[one.public_key.keyid].signature
    signed = Metadata(city.roles["grants"])
    for official in (one, two, three):
        signed.sign(official, append=True)
        signed.signatures[official.public_key.keyid].signature = mine  # under everyone's name

    city.entries[name] = signed.to_bytes()
    city.snapshot.meta["grants.json"].hashes = None
    city.snapshot.meta["grants.json"].length = None
    city.sign_online()

    camera.refuses(city.bundle(), SignatureError)


def test_one_key_under_three_names_is_one_official(camera: Camera, city: City) -> None:
    role = city.targets.delegations.roles["grants"]
    key = key_of("police-chief").public_key
    role.keyids.clear()
    for n in range(3):
        alias = SSlibKey(f"{n:064x}", key.keytype, key.scheme, dict(key.keyval))
        city.targets.add_key(alias, "grants")
    city.targets.version += 1
    city.signers["grants"] = [Alias(f"{n:064x}", key_of("police-chief")) for n in range(3)]

    camera.refuses(city.publish(), SignatureError, because="one key under two ids")


@pytest.mark.parametrize("role", ["root", "targets", "grants", "snapshot", "timestamp", "restrictions-it-director"])
def test_a_key_that_nobody_named_signs_nothing(camera: Camera, city: City, role: str) -> None:
    city.signers[role] = [key_of("stranger")]
    if role == "root":
        city.new_root()

    camera.refuses(city.publish(), SignatureError)


def test_an_official_may_not_sign_for_another(camera: Camera, city: City) -> None:
    city.signers["restrictions-it-director"] = [key_of("police-chief")]

    camera.refuses(city.publish(), SignatureError)


def test_an_official_may_not_vouch_for_a_document_of_another(camera: Camera, city: City) -> None:
    raw = city.documents["restrictions-police-chief"].popitem()[1]
    city.documents["restrictions-police-chief"]["restrictions/it-director/r-2026-001.json"] = raw

    camera.refuses(city.publish(), SignatureError, because="not its own (TUF 4.5)")


def test_an_official_may_not_vouch_for_a_grant(camera: Camera, city: City) -> None:
    raw = city.documents["grants"]["grants/g-2026-001.json"]
    city.documents["restrictions-police-chief"]["grants/g-2026-002.json"] = raw

    camera.refuses(city.publish(), SignatureError, because="not its own (TUF 4.5)")


def test_a_grant_in_the_folder_of_restrictions_is_no_grant(camera: Camera, city: City) -> None:
    city.put(grant(id="g-2026-002"), role="restrictions-police-chief")

    camera.refuses(city.publish(), SignatureError, because="vouches for a grant")


def test_a_restriction_in_anothers_name_is_refused(camera: Camera, city: City) -> None:
    city.put(restriction(id="r-2026-002"), role="restrictions-it-director")

    camera.refuses(city.publish(), SignatureError, because="issued by police-chief")


def test_a_waiver_issued_by_an_office_that_may_not_is_refused(camera: Camera, city: City) -> None:
    city.put(waiver(issued_by="custodian"))

    camera.refuses(city.publish(), SignatureError, because="issued by custodian")


def test_a_stolen_timestamp_key_moves_no_role(camera: Camera, city: City) -> None:
    city.publish()
    thief = city.twin()
    thief.documents["restrictions-police-chief"].clear()
    thief.signers = {role: [key_of("timestamp")] for role in thief.signers}

    camera.refuses(thief.publish(), SignatureError)


def test_a_stolen_timestamp_key_cannot_choose_the_time(camera: Camera, city: City) -> None:
    city.publish(after=3650 * DAY)

    camera.refuses(city.bundle(), FreshnessError, because="after root expired")


def test_a_stolen_timestamp_key_cannot_choose_a_time_in_the_known_future(camera: Camera, city: City) -> None:
    camera.refuses(city.publish(after=DAY), FreshnessError, because="in the future")


def test_stolen_online_keys_cannot_undo_a_restriction(camera: Camera, city: City) -> None:
    thief = city.twin()  # who has kept version 1 of the role, signed by the chief when it was empty
    thief.roles["restrictions-police-chief"].version = 1
    thief.documents["restrictions-police-chief"].clear()
    thief.snapshot.version += 1
    thief.timestamp.version += 1
    thief.now += HOUR

    camera.refuses(thief.sign(), RollbackError, because="restrictions-police-chief is at version 1")


def test_a_release_from_another_city_is_refused(camera: Camera, city: City) -> None:
    stranger = city.twin()
    stranger.signers = {role: [key_of("stranger")] * len(kept) for role, kept in city.signers.items()}

    camera.refuses(stranger.publish(), SignatureError)


# --- what the charter says about signers --------------------------------------------


@pytest.mark.parametrize("threshold", [1, 2])
def test_grants_need_as_many_officials_as_the_charter_says(camera: Camera, city: City, threshold: int) -> None:
    city.targets.delegations.roles["grants"].threshold = threshold
    city.targets.version += 1

    camera.refuses(city.publish(), ClauseViolationError, because="the charter says 3 (EX-1)")


@pytest.mark.parametrize("role", ["root", "targets"])
def test_root_needs_as_many_officials_as_the_charter_says(camera: Camera, city: City, role: str) -> None:
    city.root.roles[role].threshold = 1
    city.new_root()

    camera.refuses(city.publish(), ClauseViolationError, because=f"role {role} needs 1 signatures")


def test_a_fourth_key_for_grants_is_refused(camera: Camera, city: City) -> None:
    city.targets.add_key(key_of("stranger").public_key, "grants")
    city.targets.version += 1

    camera.refuses(city.publish(), ClauseViolationError, because="role grants has 4 keys")


def test_a_strangers_key_in_an_officials_place_is_refused(camera: Camera, city: City) -> None:
    city.targets.revoke_key(key_of("it-director").public_key.keyid, "grants")
    city.targets.add_key(key_of("stranger").public_key, "grants")
    city.targets.version += 1
    city.signers["grants"][1] = key_of("stranger")

    camera.refuses(city.publish(), SignatureError, because="in place of it-director")


def test_another_officials_key_in_an_officials_place_is_refused(camera: Camera, city: City) -> None:
    city.targets.revoke_key(key_of("it-director").public_key.keyid, "grants")
    city.targets.add_key(key_of("custodian").public_key, "grants")
    city.targets.version += 1
    city.signers["grants"] = [key_of(office) for office in ("city-manager", "police-chief", "custodian")]

    camera.refuses(city.publish(), SignatureError, because="has custodian in place of it-director")


def test_two_keys_of_one_office_are_refused(camera: Camera, city: City) -> None:
    city.delegate("restrictions-police-chief", ["stranger"], 1, "restrictions/police-chief/*")
    city.roles["restrictions-police-chief"].version = 3
    city.targets.version += 1

    camera.refuses(city.publish(), SignatureError, because="office police-chief has two keys")


def test_one_key_for_two_offices_is_refused(camera: Camera, city: City) -> None:
    for role in expected_roles(city.charter).values():
        if role.offices == ("city-manager",):
            version = city.roles[role.name].version
            city.delegate(role.name, ["it-director"], 1, f"{role.folder}*")
            city.roles[role.name].version = version
    city.targets.version += 1

    camera.refuses(city.publish(), SignatureError, because="one key serves two")


def test_a_servers_key_in_an_officials_place_is_refused(camera: Camera, city: City) -> None:
    city.delegate("epochs", ["timestamp"], 1, "epochs/*")
    city.roles["epochs"].version = 2
    city.targets.delegations.roles.pop("holds-custodian")
    city.roles["restrictions-it-director"].version += 1
    city.targets.version += 1

    camera.refuses(city.publish(), SignatureError, because="lies on a server")


def test_a_role_that_the_charter_does_not_know_is_refused(camera: Camera, city: City) -> None:
    city.delegate("superusers", ["police-chief"], 1, "superusers/*")
    city.targets.version += 1

    camera.refuses(city.publish(), SignatureError, because="superusers")


@pytest.mark.parametrize(
    ("paths", "terminating"),
    [
        (["*"], True),
        (["restrictions/*/*"], True),
        (["restrictions/police-chief/*", "grants/*"], True),
        (["restrictions/police-chief/*"], False),
    ],
)
def test_a_role_is_delegated_its_own_folder_and_no_more(
    camera: Camera, city: City, paths: list[str], terminating: bool
) -> None:
    role = city.targets.delegations.roles["restrictions-police-chief"]
    role.paths, role.terminating = paths, terminating
    city.targets.version += 1
    city.documents["restrictions-police-chief"].clear()

    camera.refuses(city.publish(), SignatureError, because="TUF 4.5")


def test_an_official_may_not_delegate_further(camera: Camera, city: City) -> None:
    metadata = city.roles["restrictions-police-chief"]
    metadata.delegations = Delegations(
        keys={}, roles={"cronies": DelegatedRole("cronies", [], 1, terminating=True, paths=["grants/*"])}
    )
    metadata.add_key(key_of("stranger").public_key, "cronies")
    metadata.version += 1

    camera.refuses(city.publish(), SignatureError, because="delegates further")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "Grants", "x" * 200, "root_history"])
def test_a_role_name_that_could_become_a_path_is_refused(camera: Camera, city: City, name: str) -> None:
    city.delegate(name, ["police-chief"], 1, "x/*")
    city.targets.version += 1
    camera_before = camera.intake.in_force

    with pytest.raises(PolicyError):
        camera.intake.offer(city.publish())

    assert camera.intake.in_force == camera_before


def test_a_key_that_is_not_ed25519_is_refused(camera: Camera, city: City) -> None:
    role = city.targets.delegations.roles["grants"]
    key = city.targets.delegations.keys[role.keyids[0]]
    city.targets.delegations.keys[role.keyids[0]] = SSlibKey(key.keyid, "rsa", "rsassa-pss-sha256", {"public": "x"})
    role.threshold = 2
    city.targets.version += 1

    camera.refuses(city.publish(), SignatureError, because="of type 'rsa'")


def test_hash_bins_are_refused(camera: Camera, city: City) -> None:
    city.targets.delegations.roles = None
    city.targets.delegations.succinct_roles = SuccinctRoles([], 1, 8, "bin")
    city.targets.version += 1
    city.publish()

    camera.refuses(city.bundle(), BundleFormatError, because="hash bins")


# --- documents ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"null", b"[" * 60_000, b'{"kind":"grant"}', b'{"kind":"emperor"}', b'{"kind":NaN}', b"\xff\xfe"],
)
def test_a_signed_document_that_is_none_is_refused(camera: Camera, city: City, raw: bytes) -> None:
    city.documents["restrictions-police-chief"]["restrictions/police-chief/r-2026-002.json"] = raw

    with pytest.raises(PolicyError):
        camera.intake.offer(city.publish())
    camera.refuses(city.bundle(), DocumentFormatError)


def test_a_release_without_a_charter_is_refused(camera: Camera, city: City) -> None:
    city.documents["targets"].clear()

    camera.refuses(city.publish(), PolicyError, because="charter.json")


def test_a_release_with_more_than_a_charter_of_its_own_is_refused(camera: Camera, city: City) -> None:
    city.documents["targets"]["another.json"] = b"{}"

    camera.refuses(city.publish(), PolicyError, because="charter.json")


def test_a_document_named_by_a_weak_hash_is_refused(camera: Camera, city: City) -> None:
    city.publish()
    grants = city.roles["grants"]
    for target in grants.targets.values():
        target.hashes = {"md5": "0" * 32, **target.hashes}
    city.entries[f"metadata/{grants.version}.grants.json"] = city._sign("grants", grants)
    city.snapshot.meta["grants.json"].hashes = None
    city.snapshot.meta["grants.json"].length = None
    city.sign_online()

    camera.refuses(city.bundle(), BundleFormatError, because="SHA-256 alone")


# --- the package --------------------------------------------------------------------


def test_ten_megabytes_are_refused(camera: Camera) -> None:
    camera.refuses(bytes(10_000_000), BundleFormatError, because=str(MAX_BUNDLE_BYTES))


def test_every_truncation_is_refused(camera: Camera, city: City) -> None:
    bundle = city.publish()

    for length in range(0, len(bundle), 97):
        with pytest.raises(BundleFormatError):
            camera.intake.offer(bundle[:length])
    camera.refuses(bundle[:-1], BundleFormatError)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"signed":{},"signatures":[]}',
        b'{"signed":null,"signatures":null}',
        b"[" * 200_000,
        b'{"a":' * 80_000,
        b"1" * 100_000,
        b'{"signed":{"_type":"timestamp","version":1e999},"signatures":[]}',
        b"\xff" * 10,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda content: repr(content[:12]),
)
@pytest.mark.parametrize("name", ["metadata/2.root.json", "metadata/timestamp.json"])
def test_metadata_that_is_none_is_refused(camera: Camera, city: City, name: str, content: bytes) -> None:
    city.publish()
    city.entries[name] = content

    camera.refuses(city.bundle(), BundleFormatError)


def test_a_root_that_does_without_consistent_snapshots_is_refused(camera: Camera, city: City) -> None:
    city.root.consistent_snapshot = False
    city.new_root()
    city.publish()
    for role in ("snapshot", "targets", *city.roles):
        (name,) = [name for name in city.entries if name.endswith(f".{role}.json")]
        city.entries[f"metadata/{role}.json"] = city.entries[name]

    camera.refuses(city.bundle(), BundleFormatError, because="TUF 6.2")


# --- clocks -------------------------------------------------------------------------


def test_a_clock_set_back_to_1970_makes_nothing_old_new_again(camera: Camera, city: City) -> None:
    old = city.publish()
    camera.clock.advance(6 * DAY)
    city.now = camera.clock.now()
    camera.intake.offer(city.publish())
    camera.clock.step(datetime(1970, 1, 1, tzinfo=UTC) - camera.clock.now())
    camera.clock.become(ClockQuality.UNKNOWN)

    camera.refuses(old, RollbackError)

    assert camera.intake.clock_state().now >= city.now - SIGNING_SLACK


def test_a_withheld_release_is_stale_by_the_floor_whatever_the_clock_shows(camera: Camera, city: City) -> None:
    withheld = city.publish()
    camera.clock.step(datetime(1970, 1, 1, tzinfo=UTC) - camera.clock.now())
    camera.clock.become(ClockQuality.UNKNOWN)
    camera.clock.advance(4 * DAY)
    camera.intake.save_time()
    camera.intake = camera.restarted()
    camera.clock.advance(4 * DAY)
    camera.intake.save_time()

    camera.refuses(withheld, FreshnessError)


def test_a_clock_ten_years_ahead_refuses_and_forgets_nothing(camera: Camera, city: City) -> None:
    current = city.publish()
    camera.clock.step(3650 * DAY)

    camera.refuses(current, FreshnessError)

    camera.clock.step(-3650 * DAY)
    camera.intake.offer(current)
    assert not camera.intake.in_force.suspended
