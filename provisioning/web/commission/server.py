"""Serve the commissioning page for one window, to one browser.

Everything the page needs is in `page/`; nothing comes from anywhere else. The routes:

    GET  /?token=…         exchange the token for the cookie
    GET  /                 the page
    GET  /page/NAME        its parts
    GET  /page/texts.json  its texts, from provisioning/words
    GET  /api/view?after=N wait for an update newer than N, and tell it
    GET  /api/picture?n=N  the picture of update N, while it is the latest
    POST /api/approve      have the view approved as the reference of the drift guard
    POST /api/proposal     save a proposal
    POST /api/finish       sign the commissioning record and close the window

`gate` says who is let in; `agent.core.messages.aiming` what an update is.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.core.messages.aiming import Act
from agent.core.policy.strict_json import MAX_DOCUMENT_BYTES, check
from agent.errors import AimingRefusedError, CommissioningFormatError, DocumentFormatError, LamppostError, UsageError
from provisioning.commissioning.camera_side import Seen
from provisioning.web.commission.gate import COOKIE, SECURITY_HEADERS, Gate, TurnedAwayError
from provisioning.words import language, section, words

PAGE = Path(__file__).with_name("page")
PARTS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_WAIT_S = 4.0  # for a newer update; the recorder makes two a second
_GLANCE_S = 0.2


class View(Protocol):
    """What the camera shows."""

    def wait_newer(self, number: int, timeout_s: float) -> Seen | None:
        """Return an update newer than `number`, or None if there is none in time."""
        ...

    def latest(self) -> Seen | None:
        """Return the latest update, or None before the first."""
        ...

    def ask(self, act: Act) -> None:
        """Ask something of the recorder. Raises AimingRefusedError."""
        ...

    def over(self) -> str:
        """Return why the window is over; empty while it is open."""
        ...


class Desk(Protocol):
    """What a technician may leave behind."""

    def propose(self, seen: Seen, stated: dict[str, Any]) -> dict[str, Any]:
        """Save a proposal; return what to tell. Raises CommissioningFormatError, StorageError."""
        ...

    def finish(self, seen: Seen, stated: dict[str, Any]) -> dict[str, Any]:
        """Sign and save the record; return what to tell. Raises CommissioningFormatError, StorageError."""
        ...

    def resumed(self) -> dict[str, Any] | None:
        """Return what drawing goes on from; None if it begins anew."""
        ...

    def preview(self, seen: Seen) -> dict[str, Any]:
        """Return what the record would say now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the page is served.

    Attributes:
        socket: Bound, listening.
        origin: Such as "http://127.0.0.1:49152".
        certificate: PEM of key and certificate, where it leaves the machine; else None.
    """

    socket: socket.socket
    origin: str
    certificate: Path | None = None


class _Guarded:
    """Lets only what `gate` admits reach the page, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
                ]
            await send(message)

        answer: ASGIApp = self._app
        try:
            self._gate.pass_by(request.headers, now_s=asyncio.get_running_loop().time())
            if "token" in request.query_params and request.url.path == "/" and request.method == "GET":
                answer = self._enter(request.query_params["token"])
            else:
                self._gate.admit(request.cookies.get(COOKIE, ""))
                if request.method not in {"GET", "HEAD"}:
                    self._gate.admit_change(request.headers)
        except TurnedAwayError as error:
            answer = _turned_away(request, error)
        await answer(scope, receive, send_guarded)

    def _enter(self, token: str) -> Response:
        session = self._gate.exchange(token)
        entered = RedirectResponse("/", status_code=303)
        entered.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=self._gate.encrypted, path="/")
        return entered


def application(view: View, desk: Desk, gate: Gate, finished: Callable[[], None]) -> ASGIApp:
    """Return the page's application.

    Args:
        view: What the camera shows.
        desk: Saves proposals and the record.
        gate: Who is let in.
        finished: Called when the record was signed.
    """
    api = _Api(view, desk, finished)
    routes = [
        Route("/", _page),
        Route("/page/texts.json", _texts),
        Route("/page/{name}", _part),
        Route("/api/view", api.tell),
        Route("/api/picture", api.picture),
        Route("/api/approve", _telling_problems(api.approve), methods=["POST"]),
        Route("/api/proposal", _telling_problems(api.propose), methods=["POST"]),
        Route("/api/finish", _telling_problems(api.finish), methods=["POST"]),
    ]
    return _Guarded(Starlette(routes=routes), gate)


async def _page(_: Request) -> Response:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(html.replace('<html lang="en"', f'<html lang="{language()}"', 1))


async def _texts(_: Request) -> Response:
    return JSONResponse(section("editor"))


async def _part(request: Request) -> Response:
    name = request.path_params["name"]
    # Only what lies in the folder, by its very name: no path of a request ever reaches the file system.
    path = next((each for each in PAGE.iterdir() if each.name == name), None)
    if path is None or path.suffix not in PARTS:
        return JSONResponse({"problem": "there is no such part"}, 404)
    return Response(path.read_bytes(), media_type=PARTS[path.suffix])


class _Api:
    """What the page asks while it is open."""

    def __init__(self, view: View, desk: Desk, finished: Callable[[], None]) -> None:
        self._view = view
        self._desk = desk
        self._finished = finished

    async def tell(self, request: Request) -> Response:
        number = _number(request.query_params.get("after", "0"))
        seen = await asyncio.to_thread(self._view.wait_newer, number, _WAIT_S)
        if self._view.over():
            return JSONResponse({"over": self._view.over()}, 410)
        if seen is None:
            return JSONResponse({"number": number})
        first = {"proposal": self._desk.resumed()} if number == 0 else {}
        return JSONResponse({**told(seen, self._desk.preview(seen)), **first})

    async def picture(self, request: Request) -> Response:
        seen = self._view.latest()
        if seen is None or not seen.picture or seen.update.number != _number(request.query_params.get("n", "0")):
            return Response(status_code=204)  # a newer one has taken its place
        return Response(seen.picture, media_type="image/jpeg")

    async def approve(self, _: Request) -> Response:
        self._view.ask(Act.APPROVE_VIEW)
        return JSONResponse({})

    async def propose(self, request: Request) -> Response:
        return JSONResponse(self._desk.propose(_seen(self._view), await _stated(request)))

    async def finish(self, request: Request) -> Response:
        answer = JSONResponse(self._desk.finish(_seen(self._view), await _stated(request)))
        answer.background = BackgroundTask(self._finished)
        return answer


class PageServer:
    """Serves one window's page until it is over.

    Args:
        app: What `application` returned.
        listening: Where.
    """

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        pem = listening.certificate
        self._listening = listening
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,  # an address carries the token
                server_header=False,
                ws="none",
                lifespan="off",
                timeout_graceful_shutdown=5,
                h11_max_incomplete_event_size=16 * 1024,
                limit_concurrency=64,
                ssl_certfile=None if pem is None else str(pem),
                ssl_keyfile=None if pem is None else str(pem),
                ssl_version=ssl.PROTOCOL_TLS_SERVER,
            )
        )

    def run(self, over: Callable[[], bool]) -> None:
        """Serve until `stop`, or until `over` says so. On the main thread, an interrupt ends it too."""
        watching = threading.Thread(target=self._watch, args=(over,), name="window", daemon=True)
        watching.start()
        with contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._listening.socket])
        self._server.should_exit = True
        watching.join()

    def stop(self) -> None:
        """Answer what was asked, and end. From any thread."""
        self._server.should_exit = True

    def _watch(self, over: Callable[[], bool]) -> None:
        pause = threading.Event()
        while not self._server.should_exit:
            if over():
                pause.wait(2 * _WAIT_S)  # so that the page hears why
                self._server.should_exit = True
            pause.wait(_GLANCE_S)


def told(seen: Seen, preview: dict[str, Any]) -> dict[str, Any]:
    """Return an update as the page reads it; bits in base64."""
    update = seen.update.model_dump(mode="json", exclude={"outline", "zones_grid"})
    return {
        **update,
        "outline": base64.b64encode(seen.update.outline).decode(),
        "zones_grid": base64.b64encode(seen.update.zones_grid).decode(),
        **preview,
    }


async def _stated(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries.

    Raises:
        CommissioningFormatError: It carries none, or too much.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_DOCUMENT_BYTES:
            raise CommissioningFormatError(f"more than {MAX_DOCUMENT_BYTES} bytes")
    try:
        stated = check(body)
    except DocumentFormatError as error:
        raise CommissioningFormatError(str(error)) from error
    if not isinstance(stated, dict):
        raise CommissioningFormatError("expected a JSON object")
    return stated


def _seen(view: View) -> Seen:
    seen = view.latest()
    if seen is None or view.over():
        raise AimingRefusedError(view.over() or words("commission.nothing_yet"))
    return seen


def _telling_problems(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return `endpoint` with our own errors told to the page."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (CommissioningFormatError, UsageError) as error:
            return JSONResponse({"problem": str(error)}, 422)
        except AimingRefusedError as error:
            return JSONResponse({"over": str(error)}, 410)
        except LamppostError as error:
            return JSONResponse({"problem": str(error)}, 500)

    return answer


def _turned_away(request: Request, error: TurnedAwayError) -> Response:
    if request.url.path.startswith(("/api/", "/page/")):
        return JSONResponse({"turned_away": error.word}, error.status, {"Retry-After": "2"})
    texts = section("turned-away")
    # No style and no script of ours: whoever is turned away gets nothing else.
    return HTMLResponse(
        f'<!doctype html><html lang="{language()}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f"<title>Lamppost</title><main><h1>{texts['title']}</h1><p>{texts[error.word]}</p></main></html>",
        error.status,
        {"Retry-After": "2"},
    )


def _number(words: str) -> int:
    return int(words) if words.isascii() and words.isdecimal() and len(words) < 16 else 0  # noqa: PLR2004 - 2**53
