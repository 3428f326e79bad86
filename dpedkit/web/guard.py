"""What stands before every page: who may ask, and what a browser may do with the answer.

The pages are for the people at this machine. Other sites that their browsers visit must not reach them: not by a name
that resolves here (DNS rebinding: the Host header is checked), not by a form or script elsewhere (what changes
something must come from our own pages), not in a frame. Beyond loopback a token is asked for, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import SplitResult, parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "dpedkit"
MOST_BODY_BYTES = 1 << 20

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=(self)",
}


@dataclass(frozen=True)
class Guard:
    """An ASGI application in front of another.

    hosts    names by which the pages may be asked for; None: any, which only a token makes safe
    token    what visitors must bring, once in the address and from then on in a cookie; "": nothing
    uploads  paths that take files -> how many bytes; everything else takes MOST_BODY_BYTES
    """

    app: ASGIApp
    hosts: frozenset[str] | None = LOOPBACK
    token: str = ""
    uploads: Mapping[str, int] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most_bytes = self.uploads.get(scope["path"], MOST_BODY_BYTES)
        answer = self._refusal(scope, most_bytes) or self._welcome(scope)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (answer or self.app)(scope, _limited(receive, most_bytes), send_safely)

    def _refusal(self, scope: Scope, most_bytes: int) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts is not None and _split(f"//{host}").hostname not in self.hosts:
            return _refuse(421, "these pages are not for this name", "open the address that dpedkit printed")
        if scope["method"] not in ("GET", "HEAD") and not _is_own(headers, host):
            return _refuse(403, "this request comes from another site", "use the page itself")
        try:
            length = int(headers.get("content-length", "0"))
        except ValueError:
            length = most_bytes + 1
        if length > most_bytes:
            return _refuse(413, f"more than {most_bytes / 1e6:.0f} MB", "send less")
        return None

    def _welcome(self, scope: Scope) -> Response | None:
        """Let in whoever has the token; take it out of the address, which would end up in a history."""
        if not self.token:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and hmac.compare_digest(given.encode(), self.token.encode()):
            answer = RedirectResponse(scope["path"], 303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        if hmac.compare_digest(_cookie(Headers(scope=scope)).encode(), self.token.encode()):
            return None
        return PlainTextResponse("The address needs its token: open the one that dpedkit printed.\n", 401)


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a browser says that a request comes from a page of ours; what is no browser says nothing of it."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or _split(origin).netloc == host


def _split(address: str) -> SplitResult:
    """Return the parts of an address, none of one that is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _cookie(headers: Headers) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _limited(receive: Receive, most_bytes: int) -> Receive:
    """End a body that is longer than it may be, whatever its header said."""
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= most_bytes else {"type": "http.disconnect"}

    return receive_some


def _refuse(status: int, cause: str, remedy: str) -> Response:
    return JSONResponse({"error": cause, "remedy": remedy}, status)
