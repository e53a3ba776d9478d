"""The enrolment service: three routes over TLS 1.3, with the broker's certificate.

    GET  /v1/root.pem   the fleet's root; public, the claim's pin says whether it is the right one
    POST /v1/enrol      a camera asks
    POST /v1/confirm    a work order says which camera is meant

What arrives is bounded before it is read, and a signature is verified before anything
else is done with it. No client certificate is asked for: who has one is enrolled.
"""

import logging
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from agent.core.enrolment.exchange import (
    CONFIRM_PATH,
    ENROL_PATH,
    ROOT_PATH,
    Answer,
    Confirmation,
    Outcome,
    Request,
)
from agent.errors import ConfigurationError, LamppostError
from provisioning.enrolment.desk import EnrolmentDesk

ENROL_PORT = 8884  # beside the broker's 8883
MOST_AT_ONCE = 64
_STARTS_WITHIN = timedelta(seconds=30)
_RELOAD_EVERY_S = 60.0
_LOOK_EVERY_S = 0.02
_UNAVAILABLE, _TOO_LARGE = 503, 413
_JSON = "application/json"

Now: TypeAlias = Callable[[], datetime]

_log = logging.getLogger(__name__)


def make_app(desk: EnrolmentDesk, now: Now) -> Starlette:
    """Return the routes.

    Args:
        desk: Who decides.
        now: The wall clock.
    """

    async def root(_request: HttpRequest) -> Response:
        return Response(await run_in_threadpool(lambda: desk.root), media_type="application/x-pem-file")

    async def enrol(request: HttpRequest) -> Response:
        return await _answered(request, Request.MAX_BYTES, lambda body: _enrolled(desk, body, now()))

    async def confirm(request: HttpRequest) -> Response:
        return await _answered(request, Confirmation.MAX_BYTES, lambda body: _confirmed(desk, body, now()))

    return Starlette(
        routes=[
            Route(ROOT_PATH, root),
            Route(ENROL_PATH, enrol, methods=["POST"]),
            Route(CONFIRM_PATH, confirm, methods=["POST"]),
        ]
    )


class EnrolmentServer:
    """The routes on a port, in a thread; a context that ends them.

    Args:
        desk: Who decides.
        now: The wall clock.
        address: What to bind.
        port: Likewise; 0 takes a free one.
        certificate: PEM chain that cameras verify with the claim's pin; read again when it was renewed.
        key: Its key.

    Raises:
        ConfigurationError: The certificate cannot be read.
    """

    def __init__(self, desk: EnrolmentDesk, now: Now, *, address: str, port: int, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._loaded_ns = self._load()
        config = uvicorn.Config(
            make_app(desk, now),
            host=address,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=5,
            lifespan="off",
            ws="none",
        )
        config.load()
        config.ssl = self._context  # uvicorn's own settings cannot say "1.3 and nothing older"
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="enrolment", daemon=True)
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._reload, name="enrolment-certificate", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        waited_s = 0.0
        while not self._server.started:
            if not self._thread.is_alive() or waited_s > _STARTS_WITHIN.total_seconds():
                raise ConfigurationError(
                    f"the enrolment service cannot listen on {self._server.config.host}:{self._server.config.port}"
                )
            self._stop.wait(_LOOK_EVERY_S)
            waited_s += _LOOK_EVERY_S
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.should_exit = True
        self._thread.join()
        self._watch.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def _load(self) -> int:
        try:
            written_ns = self._certificate.stat().st_mtime_ns
            self._context.load_cert_chain(self._certificate, self._key)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"cannot use {self._certificate}: {error}") from error
        return written_ns

    def _reload(self) -> None:
        while not self._stop.wait(_RELOAD_EVERY_S):
            with suppress(OSError):
                if self._certificate.stat().st_mtime_ns == self._loaded_ns:
                    continue
            try:
                self._loaded_ns = self._load()
            except ConfigurationError as error:
                _log.error("%s; the old one goes on", error)


async def _answered(request: HttpRequest, most: int, answer: Callable[[bytes], bytes]) -> Response:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            return Response(status_code=_TOO_LARGE)
    try:
        return Response(await run_in_threadpool(answer, body), media_type=_JSON)
    except LamppostError as error:  # the disk, mostly; nothing was promised, and asking again is right
        _log.error("%s", error)
        return Response(status_code=_UNAVAILABLE)


def _enrolled(desk: EnrolmentDesk, body: bytes, now: datetime) -> bytes:
    try:
        request = Request.from_bytes(body)
    except LamppostError as error:
        return _refused(error, now)
    return desk.enrol(request, now=now).to_bytes()


def _confirmed(desk: EnrolmentDesk, body: bytes, now: datetime) -> bytes:
    try:
        confirmed = desk.confirm(Confirmation.from_bytes(body), now=now)
    except LamppostError as error:
        return _refused(error, now)
    return Answer(outcome=Outcome.ISSUED, at=now, others=confirmed.others).to_bytes()


def _refused(error: LamppostError, now: datetime) -> bytes:
    return Answer(outcome=Outcome.REFUSED, at=now, error=type(error).__name__, reason=str(error)).to_bytes()
