"""Who may talk to the page: one browser, from this very page, not too often, until the window closes.

* The address that the command prints carries a token. It is taken once, and exchanged for a cookie that scripts
  cannot read and other sites cannot send. Whoever comes second, the technician's own other browser
  included, is turned away.
* `Host` must be ours, or a name that somebody else's DNS points here would make this page theirs.
* What changes something must say that it comes from this page (`Origin`), and be JSON, which no form can send.
* Requests are counted; a hundred at once are no technician.

Pure: time is a parameter.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

COOKIE = "lamppost-commission"
MOST_WRONG_TOKENS = 10

_BURST = 60.0  # a page with all its parts is 15 requests
_A_SECOND = 20.0

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class TurnedAwayError(Exception):
    """A request is not answered.

    Attributes:
        status: HTTP's.
        word: What the page shows, a key of its texts.
    """

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status
        self.word = word


@dataclass(slots=True)
class Gate:
    """The gate of one window.

    Attributes:
        origin: Ours, such as "http://127.0.0.1:8443".
        token: What the printed address carries.
        session: What the cookie carries.
        token_used: Whether the token was exchanged.
    """

    origin: str
    token: str = field(repr=False)
    session: str = field(repr=False)
    token_used: bool = False
    _wrong: int = 0
    _left: float = _BURST
    _last_s: float = 0.0

    @property
    def host(self) -> str:
        """What `Host` must say."""
        return self.origin.partition("://")[2]

    @property
    def encrypted(self) -> bool:
        """Whether the page is served over TLS."""
        return self.origin.startswith("https://")

    def pass_by(self, headers: Mapping[str, str], *, now_s: float) -> None:
        """Pass if a request, whatever it asks, comes to us and not too often.

        Raises:
            TurnedAwayError: 421 or 429.
        """
        self._left = min(_BURST, self._left + max(0.0, now_s - self._last_s) * _A_SECOND)
        self._last_s = now_s
        if self._left < 1:
            raise TurnedAwayError(429, "too-often")
        self._left -= 1
        if headers.get("host", "") != self.host:
            raise TurnedAwayError(421, "elsewhere")

    def exchange(self, token: str) -> str:
        """Return the session for the token, once.

        Raises:
            TurnedAwayError: 403: it was used, or is none, or too many were tried.
        """
        if self._wrong >= MOST_WRONG_TOKENS:
            raise TurnedAwayError(403, "too-often")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            self._wrong += 1
            raise TurnedAwayError(403, "wrong-token")
        if self.token_used:
            raise TurnedAwayError(403, "token-used")
        self.token_used = True
        return self.session

    def admit(self, cookie: str) -> None:
        """Pass if `cookie` is the session's.

        Raises:
            TurnedAwayError: 403.
        """
        if not hmac.compare_digest(cookie.encode(), self.session.encode()):
            raise TurnedAwayError(403, "other-browser" if self.token_used else "no-token")

    def admit_change(self, headers: Mapping[str, str]) -> None:
        """Pass if a request that changes something comes from this page.

        Raises:
            TurnedAwayError: 403 or 415.
        """
        if headers.get("origin", "") != self.origin or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise TurnedAwayError(403, "other-origin")
        if headers.get("content-type", "") != "application/json":
            raise TurnedAwayError(415, "not-json")
