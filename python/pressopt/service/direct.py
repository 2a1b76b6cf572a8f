"""Routes that are asked for most, without the ceremony: what is plainly right goes straight to its handler.

FastAPI describes such a route and answers whatever is not plainly right, with every mistake; that costs as much
processor time as the act itself, and is only needed where something is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from pressopt.service.access import Role, demand
from pressopt.service.bodies import LONGEST_KEY, Body
from pressopt.service.host import ID, By
from pressopt.service.running import Running


class Direct(APIRoute):
    """A POST of an operator, with ``campaign``, perhaps ``trial`` and a JSON ``body``, and nothing else."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        usual = super().get_route_handler()
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        model, optional = _body_of(endpoint)

        async def handle(request: Request) -> Response:
            arguments = await _plain(request, model, optional=optional)
            if arguments is None:
                return await usual(request)
            service: Running = request.app.state.running
            by = await caller(request, service, Role.operator, request.headers.get("idempotency-key"))
            return await endpoint(service=service, by=by, **arguments)

        return handle


async def caller(request: Request, service: Running, least: Role, key: str | None) -> By:
    """Return who asks, if they may do that much, with their idempotency key.

    Raises:
        Refused: No valid token, or not that role.
    """
    by = service.who(request.headers.get("authorization", ""))
    demand(by.role, least)
    if not key or request.method in {"GET", "HEAD"}:
        return by
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    asked.update(await request.body())
    return By(by.name, by.role, key, asked.hexdigest())


def _body_of(endpoint: Callable[..., Any]) -> tuple[type[Body], bool]:
    """Return the shape of a handler's body, and whether it may be missing."""
    hint = get_type_hints(endpoint)["body"]
    kinds = get_args(hint) or (hint,)
    return next(kind for kind in kinds if kind is not type(None)), type(None) in kinds


async def _plain(request: Request, model: type[Body], *, optional: bool) -> dict[str, Any] | None:
    """Return what a handler is called with; None: something is unusual, or wrong."""
    if request.scope["query_string"] or len(request.headers.get("idempotency-key", "")) > LONGEST_KEY:
        return None
    found: dict[str, Any] = {"campaign": request.path_params["campaign"]}
    if not ID.match(found["campaign"]):
        return None
    if "trial" in request.path_params:
        number = request.path_params["trial"]
        if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number)):
            return None
        found["trial"] = int(number)
    data = await request.body()
    if not data:
        return {**found, "body": None} if optional else None
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        found["body"] = model.model_validate_json(data)
    except ValidationError:
        return None
    return found
