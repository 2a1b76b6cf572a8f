"""What stands before every request: size, rate, origin and host; and the headers that every answer carries."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

from pressopt.clock import wall_monotonic_s
from pressopt.service.access import is_loopback
from pressopt.service.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:]*)(?::\d{1,5})?\Z")
#: Callers whose rate is remembered; the one that was silent longest is forgotten first.
_CALLERS = 10_000
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
#: For everything that is no page.
API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
#: For the page and what it needs: nothing from elsewhere.
PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    b"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)


class _TooLarge(Exception):  # noqa: N818 - an answer, not an error
    """The body went over the limit while it came."""


class Guards:
    """ASGI middleware around the whole service.

    Args:
        app: What is guarded.
        body_bytes: Largest body.
        per_second: Requests of one caller a second, on average; twice as many at once. 0: no limit.
        local: Whether only names of this machine are accepted as host (no accounts are demanded then, and a page
            from elsewhere must not get here under another name).
    """

    def __init__(self, app: ASGIApp, *, body_bytes: int, per_second: float, local: bool) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._per_second = per_second
        self._local = local
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        status, why = self._refusal(scope, headers)
        if status and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
            return
        if status:
            retry = {"Retry-After": "1"} if status == 429 else None
            await problem(status, why, headers=retry)(scope, receive, self._with_headers(send, scope))
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._body_bytes:
                raise _TooLarge
            return message

        try:
            await self._app(scope, counted, self._with_headers(send, scope))
        except _TooLarge:
            await self._too_large()(scope, receive, self._with_headers(send, scope))

    def _refusal(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str]:
        """Return status and reason for a request that goes no further; 0 for one that may."""
        host = headers.get(b"host", "")
        found = _HOST.match(host)
        if self._local and not (found and is_loopback(found["name"])):
            return 421, f"this service is for this machine alone and is not called {host[:80]!r}: use 127.0.0.1"
        origin = headers.get(b"origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if unsafe and origin is not None and origin.partition("://")[2] != host:
            return 403, f"a page of {origin[:80]!r} may not act here"
        if unsafe and headers.get(b"sec-fetch-site", "none") in {"cross-site", "same-site"}:
            return 403, "a page of another site may not act here"
        length = headers.get(b"content-length", "0")
        if not length.isdigit() or int(length) > self._body_bytes:
            return (413, self._limit()) if length.isdigit() else (400, "Content-Length is no number")
        if not self._allowed(scope, headers):
            return 429, f"more than {self._per_second:g} requests a second: slow down"
        return 0, ""

    def _allowed(self, scope: Scope, headers: dict[bytes, str]) -> bool:
        """Count a request of a caller (their token, or their address) against their rate."""
        if not self._per_second:
            return True
        client = scope.get("client")
        caller = headers.get(b"authorization", "")[:200] or (client[0] if client else "")
        now_s, most = wall_monotonic_s(), 2.0 * self._per_second
        left, since_s = self._callers.pop(caller, (most, now_s))
        left = min(most, left + (now_s - since_s) * self._per_second)
        self._callers[caller] = (max(left - 1.0, 0.0), now_s)
        if len(self._callers) > _CALLERS:
            self._callers.popitem(last=False)
        return left >= 1.0

    def _limit(self) -> str:
        return f"the body is larger than {self._body_bytes / 1e6:g} MB"

    def _too_large(self) -> ASGIApp:
        return problem(413, self._limit(), headers={"Connection": "close"})

    @staticmethod
    def _with_headers(send: Send, scope: Scope) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                page = not scope["path"].startswith("/v1")
                policy = PAGE_POLICY if page else API_POLICY
                more = [*HEADERS, policy, *([] if page else [(b"cache-control", b"no-store")])]
                have = {name for name, _ in message.get("headers", ())}
                message["headers"] = [*message.get("headers", ()), *(one for one in more if one[0] not in have)]
            await send(message)

        return sending
