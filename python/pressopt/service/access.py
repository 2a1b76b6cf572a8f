"""Who may do what: tokens with one of three roles, or everybody on this machine where the service is local."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from enum import IntEnum

from pressopt.errors import InputError, LifecycleError, Violation
from pressopt.service.acts import ServiceState, Token, TokenCreated, TokenRevoked
from pressopt.service.problems import Refused


class Role(IntEnum):
    """What somebody may do; each role may do what those before it may."""

    viewer = 1
    operator = 2
    administrator = 3


#: Who asks where no accounts are demanded.
LOCAL = "local"
_PREFIX = "pressopt_"


def digest_of_token(token: str) -> str:
    """Return what is kept of a token.

    A plain SHA-256 is enough: a token is 256 random bits, not a password that could be guessed.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def fresh_token() -> str:
    """Return 256 random bits as text."""
    return _PREFIX + secrets.token_urlsafe(32)


def new_token(state: ServiceState, name: str, role: str) -> tuple[str, TokenCreated]:
    """Return a fresh token, to be shown once, and the event that makes it valid.

    Raises:
        InputError: There is no such role.
        LifecycleError: Somebody of that name has a token already.
    """
    if role not in Role.__members__:
        raise InputError([Violation("role", f"{role!r} is no role: use {', '.join(Role.__members__)}")])
    known = state.tokens.get(name)
    if known is not None and not known.revoked_at:
        raise LifecycleError(f"'{name}' has a token already: revoke it first, or choose another name")
    token = fresh_token()
    return token, TokenCreated(name, role, digest_of_token(token))


def revoked(state: ServiceState, name: str) -> TokenRevoked:
    """Return the event that ends a token.

    Raises:
        InputError: There is none of that name.
    """
    known = state.tokens.get(name)
    if known is None or known.revoked_at:
        raise InputError([Violation("name", f"nobody called {name[:80]!r} has a token")])
    return TokenRevoked(name)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host in {"localhost", "localhost.localdomain"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def holder(state: ServiceState, authorization: str) -> Token:
    """Return whose token an ``Authorization`` header carries.

    Raises:
        Refused: 401, without saying whether the token was wrong or is revoked.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer":
        digest = digest_of_token(token.strip())
        for known in state.tokens.values():
            if hmac.compare_digest(known.digest, digest) and not known.revoked_at:
                return known
    raise Refused(
        401,
        "a valid token is needed: send `Authorization: Bearer TOKEN`; `pressopt token create` makes one",
        {"WWW-Authenticate": 'Bearer realm="pressopt"'},
    )


def demand(role: str, least: Role) -> None:
    """Refuse (403) whoever may not do that much."""
    if Role[role] < least:
        raise Refused(403, f"this needs the role {least.name}, and your token is that of a {role}")
