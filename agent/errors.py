"""Every error Lamppost raises on purpose, as one tree.

A class is named for what went wrong, never for the module that noticed. Each
carries the exit status (sysexits.h) that systemd maps to a restart decision,
and, where it helps, a hint: what the reader should do next. Messages say what
was found and what was expected, in lower case, without a full stop.
"""

import os
import signal


class LamppostError(Exception):
    """Something Lamppost refuses or could not do."""

    exit_status: int = os.EX_SOFTWARE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(LamppostError):
    """The configuration file or environment says something we cannot obey."""

    exit_status = os.EX_CONFIG


class UsageError(LamppostError):
    """A command was called with words that do not fit together."""

    exit_status = os.EX_USAGE


class StoppedError(LamppostError):
    """A person stopped a command before it was done."""

    exit_status = 128 + signal.SIGINT  # as shells say it


class MissingExtraError(LamppostError):
    """Something was asked for that a part does which is not installed."""

    exit_status = os.EX_UNAVAILABLE


# --- pictures -----------------------------------------------------------------


class CameraError(LamppostError):
    """A camera cannot be opened or stopped delivering; opening it again may help."""

    exit_status = os.EX_UNAVAILABLE


class CameraGoneError(CameraError):
    """The device or file is not there, or was unplugged."""


class CameraChangedError(CameraError):
    """The picture changed size while it ran; open the camera again for its new mode."""


class CameraStalledError(CameraError):
    """The camera delivers nothing, the same frame again and again, or black."""


class EncoderError(LamppostError):
    """The video encoder refused a frame or could not start."""

    exit_status = os.EX_SOFTWARE


class ModelRefusedError(LamppostError):
    """A net may not run: the signed decision does not list it, it is not there, or it is not what it should be."""

    exit_status = os.EX_UNAVAILABLE


class ReferenceViewError(LamppostError):
    """The view cannot be compared with the one that was approved."""

    exit_status = os.EX_DATAERR


class FingerprintFormatError(ReferenceViewError):
    """Bytes are no fingerprint of a view of a known version, or not all of it."""


class FeaturelessError(ReferenceViewError):
    """The scene has too few edges that stay to be known again."""


class OtherShapeError(ReferenceViewError):
    """A picture of another shape than the fingerprint's cannot be compared with it."""


class AimingRefusedError(LamppostError):
    """The recorder opens no commissioning window."""

    exit_status = os.EX_NOPERM


class CommissioningFormatError(LamppostError):
    """A proposal or a commissioning record is not what it must be; the message says what is wrong with it."""

    exit_status = os.EX_DATAERR


# --- sealing ------------------------------------------------------------------


class SealError(LamppostError):
    """Sealed data cannot be written or opened."""

    exit_status = os.EX_DATAERR


class KeyFormatError(SealError):
    """A recipient or identity is not spelled as age spells it."""


class HeaderError(SealError):
    """An age header is malformed, or its MAC does not verify."""


class KeyFileError(SealError):
    """A key file cannot be made or read: it is there already, or not there, or not ours."""

    exit_status = os.EX_CANTCREAT


class HeaderMacError(HeaderError):
    """An age header was changed after it was written: its MAC does not verify."""


class UnsupportedSealError(HeaderError):
    """An age file of a kind that is refused on purpose: armored, or sealed to a passphrase."""


class WrongIdentityError(SealError):
    """No stanza of the header opens with any identity given."""

    exit_status = os.EX_NOPERM


class SharesError(SealError):
    """The shares of a key are too few, or do not belong together."""

    exit_status = os.EX_NOPERM


class PayloadError(SealError):
    """A chunk does not authenticate: altered, reordered, or spliced."""


class TruncatedError(PayloadError):
    """The payload ends before its last chunk; all that came before is authentic."""

    exit_status = os.EX_IOERR  # the rest never reached the disk, or left it


# --- storage ------------------------------------------------------------------


class StorageError(LamppostError):
    """Footage cannot be written or read: full, read-only, missing, or failing."""

    exit_status = os.EX_IOERR


class StorageFullError(StorageError):
    """There is no room left, and nothing may be removed to make some."""


class StorageMissingError(StorageError):
    """The separate file system that footage must go to is not mounted."""

    exit_status = os.EX_CONFIG


class FootageError(LamppostError):
    """A file among the footage is not what its name says."""

    exit_status = os.EX_DATAERR


class ForeignFileError(FootageError):
    """A file among the footage is no segment at all."""

    exit_status = os.EX_NOINPUT


class PlayerError(FootageError):
    """There is no player to show footage with."""

    exit_status = os.EX_UNAVAILABLE


class MovieFormatError(FootageError):
    """An opened segment is not the fragmented MP4 it must be."""


# --- policy -------------------------------------------------------------------


class PolicyError(LamppostError):
    """A policy document or bundle is refused; the policy in force is unchanged."""

    exit_status = os.EX_DATAERR


class DocumentFormatError(PolicyError):
    """A document is not strict JSON of a known kind and version."""


class ClauseViolationError(PolicyError):
    """A document asks for what the charter does not allow."""

    def __init__(self, clause: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{message} ({clause})", hint=hint)
        self.clause = clause


class SignatureError(PolicyError):
    """Signatures are missing, wrong, duplicate, or by someone who may not sign this."""

    exit_status = os.EX_NOPERM


class RollbackError(PolicyError):
    """What was offered is older than what the camera has already accepted."""


class FreshnessError(PolicyError):
    """What was offered has expired, or claims a time that cannot be."""


class BundleFormatError(PolicyError):
    """A bundle is too large, truncated, or not the one map of names to bytes it must be."""


# --- the link -----------------------------------------------------------------


class LinkError(LamppostError):
    """The network side cannot do its work; trying again may help."""

    exit_status = os.EX_UNAVAILABLE


class MessageFormatError(LinkError):
    """A payload is too large, or not what its topic carries."""

    exit_status = os.EX_DATAERR


class BrokerUnreachableError(LinkError):
    """No connection to the broker: no network, no such name, nobody listens, or no answer in time."""


class BrokerUntrustedError(LinkError):
    """What answered is not the city's broker, as far as its certificate and this clock tell."""

    exit_status = os.EX_NOPERM


class CredentialError(LinkError):
    """The device credential is missing, unreadable, or not what the broker accepts."""

    exit_status = os.EX_NOPERM


class SessionRefusedError(LinkError):
    """The broker knows this camera and does not let it in, or not where it must write."""

    exit_status = os.EX_NOPERM


class SessionLostError(LinkError):
    """The connection ended, or went silent."""


class UploadError(LinkError):
    """Sealed footage could not be handed over; trying again may help."""


class UploadRefusedError(UploadError):
    """The store does not take it: a wrong or expired address, or one this camera may not send to."""

    exit_status = os.EX_NOPERM


# --- enrolment ----------------------------------------------------------------


class EnrolmentError(LamppostError):
    """A camera cannot be enrolled with what it was given; another claim is needed."""

    exit_status = os.EX_NOPERM


class ClaimFormatError(EnrolmentError):
    """Bytes are no claim, or none of this version."""

    exit_status = os.EX_DATAERR


class ClaimSignatureError(EnrolmentError):
    """A claim was not signed by an office that this image trusts."""


class WrongCodeError(ClaimSignatureError):
    """Nobody who asked with a claim was given the code that a person read."""


class ClaimExpiredError(EnrolmentError):
    """A claim's time is over, or has not come."""


class ClaimElsewhereError(EnrolmentError):
    """A claim is for another board, camera, site or city."""


class ClaimUsedError(EnrolmentError):
    """A claim was used up by another key."""


class CameraTakenError(EnrolmentError):
    """There is a camera of that name already, or it was revoked, and the claim does not say to replace it."""


class EnrolmentPendingError(LamppostError):
    """The backend waits for a person to say that the camera is the right one; asking again will help."""

    exit_status = os.EX_TEMPFAIL


class EnrolmentUnreachableError(LamppostError):
    """No answer from the enrolment service: no network, no such name, nobody listens; trying again may help."""

    exit_status = os.EX_UNAVAILABLE


# --- provisioning -------------------------------------------------------------


class CardError(LamppostError):
    """A card is the wrong one, or does not hold what was written to it."""

    exit_status = os.EX_IOERR


class WrongDiskError(CardError):
    """A device may not be written to: it is mounted, holds this system, or is no card."""

    exit_status = os.EX_NOPERM


class TransportError(LamppostError):
    """The camera cannot be reached over the cable, or does not do what it is told; trying again may help."""

    exit_status = os.EX_UNAVAILABLE


# --- the log ------------------------------------------------------------------


class LogError(LamppostError):
    """A log, or what is said about one, does not hold."""

    exit_status = os.EX_DATAERR


class LeafFormatError(LogError):
    """Bytes are not the canonical spelling of an event."""


class CheckpointFormatError(LogError):
    """A checkpoint, a note or a key is not spelled as its specification says."""


class CheckpointSignatureError(LogError):
    """A checkpoint carries no signature by the key that was expected, or a wrong one."""

    exit_status = os.EX_NOPERM


class ProofError(LogError):
    """A Merkle proof does not lead where it must."""


class LogForkedError(LogError):
    """There are two different logs under one name and key."""


class LogRewoundError(LogError):
    """A log is shorter than it was: an earlier state of the camera was put back."""


class LogGapError(LogError):
    """Leaves are missing between what is known of a log and what it says now."""


class LogKeyError(LogError):
    """The key that signs the log cannot be made, read or used, or others can read it."""

    exit_status = os.EX_CANTCREAT


class LogDamagedError(StorageError):
    """The log on the disk is not the one that was signed; nothing may be signed on top of it."""


# --- the public register --------------------------------------------------------


class RegisterError(LamppostError):
    """A public register does not say what was signed, or was not signed."""

    exit_status = os.EX_DATAERR


# --- evidence -----------------------------------------------------------------
# Which kind of no: each has an exit status of its own, above those of sysexits.h, so that
# whoever checks a hundred exports by script need not read sentences.


class EvidenceError(LamppostError):
    """Evidence cannot be made, or what was given as evidence is none."""

    exit_status = os.EX_DATAERR


class EvidenceCutError(EvidenceError):
    """Something that was there is missing, or is shorter than it was."""

    exit_status = 80


class EvidenceReorderedError(EvidenceError):
    """Something stands in the place of something else of the same evidence."""

    exit_status = 81


class EvidenceAlteredError(EvidenceError):
    """Something is not the bytes that were stated, or was added."""

    exit_status = 82


class OtherCameraError(EvidenceError):
    """Something is of another camera."""

    exit_status = 83


class EvidenceGapError(EvidenceError):
    """Time or leaves are missing that the statement does not name."""

    exit_status = 84


class NotWitnessedError(EvidenceError):
    """No witness vouches that the camera's log was so when it says."""

    exit_status = 85


class ForkedEvidenceError(EvidenceError):
    """The camera signed two histories that contradict each other."""

    exit_status = 86


class RewoundEvidenceError(EvidenceError):
    """The camera's log is shorter than what a witness saw before: an old state was put back."""

    exit_status = 87


class ExpiredKeyError(EvidenceError):
    """The statement was signed with a key that was no longer in force."""

    exit_status = 88


class OtherSignerError(EvidenceError):
    """Somebody else signed than who may."""

    exit_status = 89


class WrongRecipientError(EvidenceError):
    """The export is sealed to somebody else."""

    exit_status = 90


# --- the yearly report ----------------------------------------------------------


class NotesFormatError(LamppostError):
    """What people entered for a report is not what a report takes."""

    exit_status = os.EX_DATAERR
