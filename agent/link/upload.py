"""Upload sealed segments, in the background, over restarts, one command at a time.

A *job* is one accepted `footage.upload`. It is a file (`uploads/{command id}.json`) until it
is done, has failed for good, or its addresses have expired; each part that the store took
is noted in it. Whoever starts the link again finds the job and goes on with the next part.

The file holds presigned addresses: it is private to the link, and nothing of it is logged.
"""

import hashlib
import logging
import queue
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.adapters.atomic_files import make_folders, read_capped, write_atomically
from agent.adapters.footage_files import FootageFiles
from agent.adapters.https_put import HttpsStore, check_address
from agent.core.backoff import Backoff
from agent.core.messages.commands import FootageUploadArgs, FootageUploadResult, Outcome, UploadedFile, UploadFile
from agent.core.messages.wire import Token
from agent.errors import LamppostError, StorageError, UploadError, UploadRefusedError
from agent.ports import Clock

MAX_JOBS = 4
_MAX_JOB_BYTES = 512 * 1024
_AGAIN = Backoff(first=timedelta(seconds=2), most=timedelta(minutes=2))

_log = logging.getLogger(__name__)


class Job(BaseModel):
    """What is to be uploaded, and how far it has got.

    Attributes:
        command_id: The command's id.
        correlation: Its correlation data, hex.
        etags: What the store answered, for each file as far as it has got.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: Token
    correlation: str
    args: FootageUploadArgs
    etags: dict[str, tuple[str, ...]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A job that is over."""

    command_id: str
    correlation: bytes
    outcome: Outcome
    reason: str = ""
    result: FootageUploadResult | None = None


class Uploads:
    """Accepts jobs and carries them out on a thread of its own; a context manager that owns it.

    Args:
        folder: Where jobs are kept; made if missing.
        footage: Where sealed segments are.
        store: What takes them.
        clock: For deadlines and the pace.
        bytes_per_s: Bandwidth of all uploads together.
        hosts: Hosts that may receive.
    """

    def __init__(
        self,
        folder: Path,
        footage: FootageFiles,
        store: HttpsStore,
        clock: Clock,
        *,
        bytes_per_s: int,
        hosts: frozenset[str],
    ) -> None:
        self._folder = folder
        self._footage = footage
        self._store = store
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._hosts = hosts
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        make_folders(folder)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=5)  # a PUT that hangs ends with the process; the job goes on next time

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def accept(self, command_id: str, correlation: bytes, args: FootageUploadArgs) -> None:
        """Keep a job; it is begun when those before it are over.

        Raises:
            UploadRefusedError: An address is one this camera may not send to, or parts and lengths do not fit.
            UploadError: Too many jobs wait already.
            StorageError: It cannot be kept.
        """
        for file in args.files:
            for url in file.urls:
                check_address(url, hosts=self._hosts)
            if (file.part_bytes is None) is not (len(file.urls) == 1):
                raise UploadRefusedError(f"{file.file}: several addresses need part_bytes, one must not have it")
        if len(self._jobs()) >= MAX_JOBS:
            raise UploadError(f"{MAX_JOBS} uploads wait already")
        self._keep(Job(command_id=command_id, correlation=correlation.hex(), args=args))
        self._wake.set()

    def ended(self) -> Ended | None:
        """Return a job that is over and was not returned before, or None."""
        try:
            return self._ended.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            path = next(iter(self._jobs()), None)
            if path is None:
                self._wake.wait(timeout=60)
                self._wake.clear()
                continue
            try:
                self._carry_out(path)
                failures = 0
            except UploadError as error:
                failures += 1
                _log.info("upload %s: %s; trying again", path.stem, error)
                self._stop.wait(_AGAIN.delay(failures, lambda: 1.0).total_seconds())

    def _carry_out(self, path: Path) -> None:
        """Do what is left of a job. Raises UploadError if it should be tried again."""
        try:
            job = Job.model_validate_json(read_capped(path, max_bytes=_MAX_JOB_BYTES))
        except (ValidationError, StorageError, FileNotFoundError) as error:
            _log.error("%s is not a job any more: %s", path.name, type(error).__name__)
            path.unlink(missing_ok=True)
            return
        try:
            uploaded = []
            for file in job.args.files:
                job, each = self._upload(job, file)
                uploaded.append(each)
        except UploadRefusedError as error:
            self._end(path, job, Outcome.FAILED, str(error))
        except UploadError:
            if self._clock.now() < job.args.until or self._stop.is_set():
                raise
            self._end(path, job, Outcome.FAILED, f"the addresses expired at {job.args.until:%Y-%m-%dT%H:%M:%SZ}")
        except LamppostError as error:  # the segment is gone, or cannot be read
            self._end(path, job, Outcome.FAILED, str(error))
        else:
            self._end(path, job, Outcome.DONE, "", FootageUploadResult(files=tuple(uploaded)))

    def _upload(self, job: Job, wanted: UploadFile) -> tuple[Job, UploadedFile]:
        etags = job.etags.get(wanted.file, ())
        file, size_bytes = self._footage.open(wanted.file)
        with file:
            part_bytes = wanted.part_bytes or size_bytes
            if -(-size_bytes // max(part_bytes, 1)) != len(wanted.urls):
                raise UploadRefusedError(
                    f"{wanted.file} has {size_bytes} bytes: {len(wanted.urls)} addresses of {part_bytes} do not fit"
                )
            pace = min(self._bytes_per_s, job.args.max_bytes_per_s or self._bytes_per_s)
            for number, url in enumerate(wanted.urls):
                if number < len(etags):
                    continue
                file.seek(number * part_bytes)
                length_bytes = min(part_bytes, size_bytes - number * part_bytes)
                etag = self._store.put(url, file, length_bytes, bytes_per_s=pace, stopped=self._stop.is_set)
                etags = (*etags, etag)
                job = job.model_copy(update={"etags": {**job.etags, wanted.file: etags}})
                self._keep(job)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return job, UploadedFile(file=wanted.file, size_bytes=size_bytes, digest=digest, etags=etags)

    def _end(
        self, path: Path, job: Job, outcome: Outcome, reason: str, result: FootageUploadResult | None = None
    ) -> None:
        _log.info("upload %s: %s %s", job.command_id, outcome.value, reason)
        self._ended.put(
            Ended(
                command_id=job.command_id,
                correlation=bytes.fromhex(job.correlation),
                outcome=outcome,
                reason=reason,
                result=result,
            )
        )
        path.unlink(missing_ok=True)

    def _keep(self, job: Job) -> None:
        write_atomically(self._folder / f"{job.command_id}.json", job.model_dump_json().encode(), mode=0o600)

    def _jobs(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.json"))
