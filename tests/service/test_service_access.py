"""Who may do what: loopback without accounts, elsewhere tokens; pages of other sites, sizes and rates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pressopt.cli import main
from pressopt.errors import InputError
from pressopt.service.access import new_token
from pressopt.service.client import Client
from pressopt.service.offline import note, state_of
from pressopt.service.settings import Settings
from pressopt.store.opening import open_ledger
from service_on_a_port import Served, experiment_text, served

ROLES = ("viewer", "operator", "administrator")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A service that believes to listen on all addresses, with a token of each role."""
    store = tmp_path_factory.mktemp("store")
    found = {}
    with contextlib.closing(open_ledger(str(store))) as ledger:
        for role in ROLES:
            found[role], made = new_token(state_of(ledger), role, role)
            note(ledger, made, by="test")
    with served(store, host="0.0.0.0") as service:
        yield service, found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


#: Method, path -> the least role; the campaign "x" does not exist, so that who may gets 404 or 422.
NEEDS = {
    ("GET", "/campaigns"): "viewer",
    ("POST", "/campaigns"): "operator",
    ("GET", "/campaigns/x"): "viewer",
    ("PATCH", "/campaigns/x"): "operator",
    ("GET", "/campaigns/x/journal"): "viewer",
    ("GET", "/campaigns/x/events"): "viewer",
    ("GET", "/presses"): "viewer",
    ("GET", "/about"): "viewer",
    ("POST", "/spectra/analysis"): "viewer",
    ("POST", "/experiments/check"): "viewer",
    ("POST", "/journals"): "operator",
    ("GET", "/tokens"): "administrator",
    ("POST", "/tokens"): "administrator",
    ("DELETE", "/tokens/nobody"): "administrator",
    ("GET", "/acts"): "administrator",
    **{
        ("POST", f"/campaigns/x/{word}"): "operator"
        for word in (
            "ask", "pause", "resume", "stop", "close", "trials/1/tell", "trials/1/pressed", "trials/1/confirm",
            "trials/1/reject", "trials/1/resolve", "trials/1/answer", "trials/1/files", "trials/1/spectra",
        )
    },
    **{("POST", f"/presses/x/{word}"): "operator" for word in ("clear", "make-safe", "report", "work")},
}  # fmt: skip


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_each_route_knows_its_least_role(tokens: tuple[Served, dict[str, str]], method: str, path: str) -> None:
    """Without a token or with a wrong one: 401. With too small a role: 403. With enough: neither."""
    service, known = tokens
    for headers in ({}, bearer("pressopt_wrong"), {"Authorization": "Basic Og=="}, {"Authorization": "Bearer"}):
        answer = service.http.request(method, path, headers=headers)
        assert answer.status_code == 401, (headers, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    least = ROLES.index(NEEDS[method, path])
    for place, role in enumerate(ROLES):
        status = service.http.request(method, path, headers=bearer(known[role])).status_code
        assert (status == 403) == (place < least), (role, status)
        assert status not in {401, 500}


def test_every_route_is_in_that_table(tokens: tuple[Served, dict[str, str]]) -> None:
    """A route that nobody has thought about here does not exist; only /health answers everybody."""
    service, known = tokens
    paths = service.http.get("/openapi.json", headers=bearer(known["viewer"])).json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            answer = service.http.request(method.upper(), _filled(path.removeprefix("/v1")))
            assert answer.status_code == (200 if path == "/v1/health" else 401), (method, path)


def _filled(path: str) -> str:
    values = {"campaign": "x", "trial": "1", "press": "x", "name": "n", "kind": "json", "picture": "nyquist"}
    return path.format(**values, sha256="0" * 64)


def test_a_revoked_token_is_worth_nothing(tokens: tuple[Served, dict[str, str]]) -> None:
    """Made, used, revoked: from then on it is refused, and the list says when; it is kept nowhere."""
    service, known = tokens
    with Client(service.url, known["administrator"]) as administrator:
        token = administrator.create_token("guest", "viewer")
        with Client(service.url, token) as guest:
            assert guest.about()["you"] == {"name": "guest", "role": "viewer"}
            administrator.revoke_token("guest")
            with pytest.raises(Exception, match="a valid token is needed"):
                guest.about()
        (row,) = [one for one in administrator.tokens() if one["name"] == "guest"]
        assert row["revoked_at"]
        acts = service.http.get("/acts", headers=bearer(known["administrator"])).json()["acts"]
    made = next(one for one in acts if one["data"].get("name") == "guest")
    assert (made["event"], made["actor"]) == ("TokenCreated", "administrator")
    assert not any(token.encode() in file.read_bytes() for file in Path(service.ledger.where).parent.glob("*"))


def test_who_did_it_is_in_the_journal(tokens: tuple[Served, dict[str, str]], tmp_path: Path) -> None:
    """Every act carries the name of the token's holder."""
    service, known = tokens
    with Client(service.url, known["operator"]) as client:
        campaign = client.create(experiment_text(tmp_path))
        client.ask(campaign)
        client.pause(campaign)
    assert {row.actor for row in service.ledger.rows(campaign)} == {"operator"}


def test_it_does_not_start_where_others_reach_it_without_tokens(tmp_path: Path) -> None:
    """Where others reach it, without an administrator's token, it refuses to start and says what to do."""
    settings = Settings(str(tmp_path), host="0.0.0.0")
    with contextlib.closing(open_ledger(str(tmp_path))) as ledger:
        with pytest.raises(InputError, match="pressopt token create"):
            settings.refuse_without_tokens(state_of(ledger))
        _, made = new_token(state_of(ledger), "ada", "administrator")
        note(ledger, made, by="test")
        settings.refuse_without_tokens(state_of(ledger))
        replace(settings, host="127.0.0.1").refuse_without_tokens(state_of(ledger))


def test_tokens_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`pressopt token` makes, lists and revokes on a store that no service uses; a name has one token."""
    store = ("--store", str(tmp_path / "store"))

    def say(*words: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(["token", *words])
        return int(left.value.code or 0)

    assert say("create", "ada", "--role", "administrator", *store) == 0
    assert capsys.readouterr().out.startswith("pressopt_")
    assert say("create", "ada", *store) == 2
    assert say("list", *store) == 0
    assert "administrator" in capsys.readouterr().out
    assert say("revoke", "ada", *store) == 0
    assert say("revoke", "ada", *store) == 2
    with served(tmp_path / "store") as service, Client(service.url) as client:
        assert [one["name"] for one in client.tokens()] == ["ada"]
        assert say("create", "bob", *store) == 6  # the store is in use: ask the service


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("store"), body_bytes=100_000) as service:
        yield service


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
)
def test_pages_of_other_sites_cannot_act(
    local: Served, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """A page from elsewhere can neither post here, nor reach this service under a name of its own."""
    body = {"experiment": experiment_text(tmp_path)}
    assert local.http.post("/campaigns", json=body, headers=headers).status_code == status


def test_every_answer_carries_the_headers_of_a_careful_service(local: Served) -> None:
    """No sniffing, no framing, no caching, nothing loaded from elsewhere; also on refusals."""
    for answer in (local.http.get("/about"), local.http.get("/nix"), local.http.post("/campaigns")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_bodies_have_a_size(local: Served) -> None:
    """A body that is too large is refused, whether its length is told or not."""
    big = b"x" * 200_000
    assert local.http.post("/journals", content=big).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            yield b"x" * 50_000

    assert local.http.post("/journals", content=pieces()).status_code == 413
    assert local.http.get("/about").status_code == 200


def test_callers_have_a_rate(tmp_path: Path) -> None:
    """Who asks too often is told to slow down, and may go on later."""
    with served(tmp_path, per_second=0.5) as service:
        answers = [service.http.get("/health") for _ in range(4)]
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"]


def test_wrong_bodies_are_told_what_is_wrong(local: Served, tmp_path: Path) -> None:
    """Malformed JSON, a wrong type of content, numbers that are none: 400 or 422, never 5xx."""
    campaign = local.http.post("/campaigns", json={"experiment": experiment_text(tmp_path)}).json()["id"]
    wrong: list[tuple[bytes, str]] = [
        (b"{", "application/json"),
        (b'{"count": 1', "application/json"),
        (b'{"count": NaN}', "application/json"),
        (b'{"count": 1e999}', "application/json"),
        (b'{"count": true}', "application/json"),
        (b'{"count": 65}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"count=1", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/json"),
        (b'{"count": 1, "count2": 2}', "application/json"),
    ]
    for body, kind in wrong:
        answer = local.http.post(f"/campaigns/{campaign}/ask", content=body, headers={"Content-Type": kind})
        assert answer.status_code in {400, 413, 422}, (body[:40], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    for path in ("/campaigns/..%2f..%2fetc", "/campaigns/%00", "/campaigns/x%0a", "/campaigns/" + "x" * 5000):
        assert httpx.get(f"{local.url}/v1{path}").status_code in {404, 422, 414, 400}
