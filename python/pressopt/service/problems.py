"""Errors as problem details (RFC 9457): what was asked, what is allowed, all mistakes at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from pressopt import errors
from pressopt.errors import Violation
from pressopt.service.host import KeyReused, NotFound
from pressopt.service.hosted import dumped

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("pressopt.service")

#: Kind of error -> HTTP status; the first that fits counts.
STATUS: tuple[tuple[type[errors.PressoptError], int], ...] = (
    (NotFound, 404),
    (KeyReused, 422),
    (errors.InputError, 422),
    (errors.LimitError, 422),
    (errors.LifecycleError, 409),
    (errors.NeedsPersonError, 409),
    (errors.JournalMissing, 404),
    (errors.JournalNewer, 422),
    (errors.JournalFull, 503),
    (errors.JournalLocked, 503),
    (errors.InstrumentError, 502),
)


class Refused(errors.PressoptError):
    """A request that is refused before anything is looked at.

    Attributes:
        status: HTTP status.
        headers: Sent with the answer.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def problem(
    status: int,
    detail: str,
    *,
    violations: Sequence[Violation] = (),
    kind: str = "about:blank",
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an answer that says what is wrong."""
    document: dict[str, Any] = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if violations:
        document["errors"] = [{"where": one.where, "line": one.line, "message": one.message} for one in violations]
    return Response(dumped(document), status, media_type=MEDIA_TYPE, headers=headers)


def status_of(error: errors.PressoptError) -> int:
    """Return the HTTP status that belongs to an error."""
    if isinstance(error, Refused):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.PressoptError)
    status = status_of(error)
    violations = error.violations if isinstance(error, (errors.InputError, errors.LimitError)) else ()
    headers = error.headers if isinstance(error, Refused) else {}
    if status >= 500:
        _LOG.error("%s: %s", type(error).__name__, error)
    if status == 503:
        headers = {**headers, "Retry-After": "5"}
    kind = f"urn:pressopt:error:{type(error).__name__}"
    return problem(status, str(error), violations=violations, kind=kind, headers=headers)


def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    malformed = any(one["type"] == "json_invalid" for one in found)
    violations = [Violation(".".join(str(part) for part in one["loc"]), one["msg"]) for one in found]
    detail = "\n".join(str(one) for one in violations)
    return problem(400 if malformed else 422, detail, violations=violations)


def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, str(error.detail), headers=headers)


def _on_mistake(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "this is a mistake of pressopt, not yours: the service's log has more; nothing was lost")


def install(app: FastAPI) -> None:
    """Let every error of an application leave as problem details."""
    app.add_exception_handler(errors.PressoptError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_mistake)
