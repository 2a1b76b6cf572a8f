"""The HTTP interface, version 1: each route names who may use it and calls one act or one look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from pressopt.campaign import events as e
from pressopt.campaign.lifecycle import CampaignPhase
from pressopt.campaign.own_press import FAILURES
from pressopt.clock import utc_now
from pressopt.pressing import QUANTITIES
from pressopt.service import bodies
from pressopt.service.access import Role, new_token, revoked
from pressopt.service.campaigns import NAME, analysed
from pressopt.service.direct import Direct, caller
from pressopt.service.feed import News
from pressopt.service.host import By
from pressopt.service.hosted import dumped
from pressopt.service.looking import Download
from pressopt.service.problems import Refused
from pressopt.service.running import Running

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": bodies.Problem, "description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        400: "The request cannot be read.",
        401: "No valid token.",
        403: "Not allowed to this role, or to a page of another site.",
        404: "There is no such thing.",
        405: "Not this method.",
        409: "Not possible as things stand.",
        413: "Too large.",
        422: "Something in the request is wrong; all mistakes at once.",
        429: "Too many requests.",
        503: "Cannot be written down just now; nothing was done.",
    }.items()
}
router = APIRouter(prefix="/v1", responses=_PROBLEMS)
#: What is asked for most.
busiest = APIRouter(prefix="/v1", responses=_PROBLEMS, route_class=Direct, tags=["ask and tell"])

Campaign = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$", description="Id of a campaign.")]
Trial = Annotated[int, Path(ge=1, le=10**9, description="Number of a trial.")]
FileName = Annotated[str, Query(min_length=1, max_length=100, pattern=f"^{NAME.pattern}$".replace(r"\Z", ""))]
#: Seconds after which a silent stream says that it is alive.
_IDLE_S = 15.0


async def running(request: Request) -> Running:
    """The service behind this application."""
    found: Running = request.app.state.running
    return found


Service = Annotated[Running, Depends(running)]


def _needs(least: Role) -> Callable[..., Awaitable[By]]:
    async def check(
        request: Request,
        service: Service,
        idempotency_key: Annotated[
            str | None,
            Header(
                max_length=bodies.LONGEST_KEY,
                description="The same key with the same request gets the same answer, once.",
            ),
        ] = None,
    ) -> By:
        return await caller(request, service, least, idempotency_key)

    return check


Viewer = Annotated[By, Depends(_needs(Role.viewer))]
Operator = Annotated[By, Depends(_needs(Role.operator))]
Administrator = Annotated[By, Depends(_needs(Role.administrator))]


def _json(document: Any, status: int = 200) -> Response:
    return Response(dumped(document), status, media_type="application/json")


async def _once(
    service: Running, by: By, act: Callable[[], Awaitable[dict[str, Any]]], status: int = 200
) -> Response:
    found, document = await service.host.once(by, status, act)
    return _json(document, found)


# ---------------------------------------------------------------------- ask and tell, asked for most


@busiest.post("/campaigns/{campaign}/ask", status_code=201)
async def ask(service: Service, by: Operator, campaign: Campaign, body: bodies.Asking | None = None) -> Response:
    """Get the next trials for a press or robot of your own; each is written down before you get it."""
    count = body.count if body is not None else 1
    return await _once(service, by, lambda: service.campaigns.ask(campaign, count, by), 201)


@busiest.post("/campaigns/{campaign}/trials/{trial}/tell")
async def tell(service: Service, by: Operator, campaign: Campaign, trial: Trial, body: bodies.Telling) -> Response:
    """Tell what was measured on a cell, or how it failed; told twice is told once."""
    return await _once(
        service, by, lambda: service.campaigns.tell(campaign, trial, body.result(), body.pressed(), by)
    )


@router.post("/campaigns/{campaign}/trials/{trial}/pressed", tags=["ask and tell"])
async def tell_pressed(
    service: Service, by: Operator, campaign: Campaign, trial: Trial, body: bodies.HowPressed | None = None
) -> Response:
    """Tell that a cell was pressed; its spectrum follows."""
    how = (body or bodies.HowPressed()).pressed()
    return await _once(service, by, lambda: service.campaigns.pressed(campaign, trial, how, by))


@router.post("/campaigns/{campaign}/trials/{trial}/spectra", status_code=201, tags=["ask and tell"])
async def upload_spectrum(
    service: Service,
    by: Operator,
    campaign: Campaign,
    trial: Trial,
    request: Request,
    name: FileName,
    negate_imaginary: bool = False,
) -> Response:
    """Upload the spectrum of a pressed cell, in any format that `pressopt eis` reads, as the body of the request.

    It is judged and fitted as a runner would; the answer says whether it has to be measured again.
    """
    data = await request.body()
    return await _once(
        service,
        by,
        lambda: service.campaigns.spectrum(campaign, trial, data, name, by, negate_imaginary=negate_imaginary),
        201,
    )


@router.post("/spectra/analysis", tags=["ask and tell"])
async def analyse_spectra(
    service: Service,
    by: Viewer,
    request: Request,
    name: FileName = "spectrum",
    area_cm2: Annotated[float | None, Query(gt=0, le=1e6, allow_inf_nan=False)] = None,
    interfaces: Annotated[int, Query(ge=1, le=100)] = 2,
    blocking: bool = False,
    negate_imaginary: bool = False,
) -> Response:
    """Judge and fit spectra as `pressopt eis` does, without keeping them."""
    data = await request.body()
    found = await service.host.think(
        lambda: analysed(
            data,
            name,
            area_cm2=area_cm2,
            interfaces=interfaces,
            blocking=blocking,
            negate_imaginary=negate_imaginary,
        )
    )
    return _json({"spectra": found})


# ---------------------------------------------------------------------- campaigns


@router.get("/campaigns", tags=["campaigns"])
async def list_campaigns(
    service: Service,
    by: Viewer,
    phase: Literal["open", "paused", "closed"] | None = None,
    waiting: Annotated[bool, Query(description="Only those that wait for a person.")] = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """All campaigns, the newest first."""
    rows = [
        row
        for row in service.host.summaries.values()
        if phase in {None, row["phase"]} and (row["waiting"] or not waiting)
    ]
    rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    return _json({"total": len(rows), "campaigns": rows[offset : offset + limit]})


@router.post("/campaigns", status_code=201, tags=["campaigns"])
async def create_campaign(service: Service, by: Operator, body: bodies.NewCampaign) -> Response:
    """Open a campaign from an experiment file."""
    changes = {name: value for name in ("trials", "seed") if (value := getattr(body, name)) is not None}
    return await _once(
        service,
        by,
        lambda: service.campaigns.create(
            body.experiment, by=by, name=body.name, presses=body.presses, priority=body.priority, changes=changes
        ),
        201,
    )


@router.post("/experiments/check", tags=["campaigns"])
async def check_experiment(service: Service, by: Viewer, body: bodies.NewCampaign) -> Response:
    """Check an experiment file without opening a campaign: all mistakes at once."""
    from pressopt.service.campaigns import checked_experiment

    experiment = await service.host.think(checked_experiment, body.experiment, body.name)
    return _json(
        {"title": experiment.title, "settings": list(experiment.space.names), "trials": experiment.budget.trials}
    )


@router.get("/campaigns/{campaign}", tags=["campaigns"])
async def get_campaign(service: Service, by: Viewer, campaign: Campaign) -> Response:
    """One campaign with a row for each trial."""
    return _json(await service.looking.campaign(campaign))


@router.patch("/campaigns/{campaign}", tags=["campaigns"])
async def place_campaign(service: Service, by: Operator, campaign: Campaign, body: bodies.Placing) -> Response:
    """Say which presses may work on a campaign, and how urgently."""
    return await _once(service, by, lambda: service.campaigns.place(campaign, body.presses, body.priority, by))


@router.post("/campaigns/{campaign}/pause", tags=["campaigns"])
async def pause_campaign(
    service: Service, by: Operator, campaign: Campaign, body: bodies.Reason | None = None
) -> Response:
    """Propose nothing new; what runs goes on."""
    reason = body.reason if body is not None else ""
    return await _once(service, by, lambda: service.campaigns.pause(campaign, reason, by))


@router.post("/campaigns/{campaign}/resume", tags=["campaigns"])
async def resume_campaign(service: Service, by: Operator, campaign: Campaign) -> Response:
    """Open a paused campaign again."""
    return await _once(service, by, lambda: service.campaigns.resume(campaign, by))


@router.post("/campaigns/{campaign}/stop", tags=["campaigns"])
async def stop_campaign(
    service: Service, by: Operator, campaign: Campaign, body: bodies.Reason | None = None
) -> Response:
    """Break off what runs, make its presses safe, and propose nothing new."""
    reason = body.reason if body is not None and body.reason else "stopped by a person"
    return await _once(service, by, lambda: service.presses.stop_campaign(campaign, reason, by))


@router.post("/campaigns/{campaign}/close", tags=["campaigns"])
async def close_campaign(
    service: Service, by: Operator, campaign: Campaign, body: bodies.Reason | None = None
) -> Response:
    """End a campaign with the answer that the data allow."""
    reason = body.reason if body is not None and body.reason else "closed by a person"
    return await _once(service, by, lambda: service.campaigns.close(campaign, reason, by))


@router.get("/campaigns/{campaign}/recommendation", tags=["results"])
async def get_recommendation(service: Service, by: Viewer, campaign: Campaign) -> Response:
    """The recommended protocol with its window and what to expect of it, as far as the data go."""
    return _json(await service.looking.recommendation(campaign))


@router.get("/campaigns/{campaign}/exports/{kind}", tags=["results"])
async def get_export(
    service: Service, by: Viewer, campaign: Campaign, kind: Literal["json", "html", "text", "csv"]
) -> Response:
    """A file as `pressopt export` writes it: protocol, operator's sheet, table of trials."""
    return _file(await service.looking.export(campaign, kind))


@router.get("/campaigns/{campaign}/pictures/{picture}", tags=["results"])
async def get_picture(
    service: Service,
    by: Viewer,
    campaign: Campaign,
    picture: Literal["convergence", "surface", "nyquist"],
    kind: Literal["png", "svg"] = "svg",
) -> Response:
    """A picture as `pressopt plot` draws it."""
    return _file(await service.looking.picture(campaign, picture, kind))


@router.get("/campaigns/{campaign}/journal", tags=["results"])
async def get_journal(service: Service, by: Viewer, campaign: Campaign) -> Response:
    """The whole campaign as one file: a journal that every `pressopt` command reads."""
    return _file(await service.looking.journal_file(campaign))


@router.post("/journals", status_code=201, tags=["campaigns"])
async def import_journal(
    service: Service,
    by: Operator,
    request: Request,
    presses: Annotated[list[bodies.PressName] | None, Query()] = None,
) -> Response:
    """Take in a campaign from one file; entry by entry as it was written, with its chain checked."""
    data = await request.body()
    return await _once(service, by, lambda: service.looking.take_in(data, presses or [], by), 201)


# ---------------------------------------------------------------------- trials


@router.get("/campaigns/{campaign}/trials/{trial}", tags=["trials"])
async def get_trial(service: Service, by: Viewer, campaign: Campaign, trial: Trial) -> Response:
    """One trial in full."""
    return _json(await service.looking.trial(campaign, trial))


@router.get("/campaigns/{campaign}/trials/{trial}/record", tags=["trials"])
async def get_record(service: Service, by: Viewer, campaign: Campaign, trial: Trial) -> Response:
    """The curves of the pressing: time, force, temperature, stage."""
    return _json(await service.looking.record(campaign, trial))


@router.get("/campaigns/{campaign}/trials/{trial}/spectra", tags=["trials"])
async def get_spectra(service: Service, by: Viewer, campaign: Campaign, trial: Trial) -> Response:
    """Every spectrum that was measured on the cell, and the fit of the last one."""
    return _json(await service.looking.spectra(campaign, trial))


@router.get("/campaigns/{campaign}/trials/{trial}/files", tags=["trials"])
async def list_files(service: Service, by: Viewer, campaign: Campaign, trial: Trial) -> Response:
    """The files kept with a trial."""
    return _json(await service.looking.files(campaign, trial))


@router.post("/campaigns/{campaign}/trials/{trial}/files", status_code=201, tags=["trials"])
async def attach_file(
    service: Service,
    by: Operator,
    campaign: Campaign,
    trial: Trial,
    request: Request,
    name: FileName,
    note: Annotated[str, Query(max_length=2000)] = "",
    person: Annotated[str, Query(max_length=200, description="Who says so, where several share a login.")] = "",
) -> Response:
    """Keep a file with a trial: the body of the request."""
    data = await request.body()
    who = _named(by, person)
    return await _once(
        service, by, lambda: service.campaigns.attach(campaign, trial, data, name, by, note=note, who=who), 201
    )


@router.get("/campaigns/{campaign}/trials/{trial}/files/{sha256}", tags=["trials"])
async def get_file(
    service: Service,
    by: Viewer,
    campaign: Campaign,
    trial: Trial,
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
) -> Response:
    """One of these files, as it came; always to be saved, never shown."""
    return _file(await service.looking.file(campaign, trial, sha256))


@router.post("/campaigns/{campaign}/trials/{trial}/confirm", tags=["trials"])
async def confirm(
    service: Service, by: Operator, campaign: Campaign, trial: Trial, body: bodies.Loading | None = None
) -> Response:
    """Say that the cell of a trial lies under the press and may be pressed as proposed."""
    event, under = e.Loaded(trial, _person(by, body)), body.press if body is not None else None
    return await _once(service, by, lambda: service.presses.word(campaign, trial, event, by, under=under))


@router.post("/campaigns/{campaign}/trials/{trial}/reject", tags=["trials"])
async def reject(
    service: Service, by: Operator, campaign: Campaign, trial: Trial, body: bodies.Rejecting | None = None
) -> Response:
    """Give a trial up."""
    event = e.TrialRejected(trial, (body or bodies.Rejecting()).reason, _person(by, body))
    return await _once(service, by, lambda: service.presses.word(campaign, trial, event, by))


@router.post("/campaigns/{campaign}/trials/{trial}/resolve", tags=["trials"])
async def resolve(
    service: Service, by: Operator, campaign: Campaign, trial: Trial, body: bodies.Resolving
) -> Response:
    """Say what was found after an interruption or a fault: discard the cell, measure it, or done by hand."""
    event = service.campaigns.resolved(
        trial,
        body.action,
        by=_person(by, body),
        note=body.note,
        achieved=dict(body.achieved),
        outcomes={name: (one.value, one.sd) for name, one in body.outcomes.items()},
    )
    return await _once(service, by, lambda: service.presses.word(campaign, trial, event, by))


@router.post("/campaigns/{campaign}/trials/{trial}/answer", tags=["trials"])
async def answer(
    service: Service, by: Operator, campaign: Campaign, trial: Trial, body: bodies.Answering
) -> Response:
    """Answer the open question of a trial at a manual press; its runner checks the values."""
    event = e.PersonAnswered(
        trial, body.question, dict(body.values), dict(body.again), body.action, body.why, _person(by, body)
    )
    return await _once(service, by, lambda: service.presses.word(campaign, trial, event, by))


def _person(by: By, body: bodies.Confirming | None) -> str:
    """Who says so: the holder of the token, and the person they name."""
    return _named(by, body.by if body is not None else "")


def _named(by: By, person: str) -> str:
    return f"{person} ({by.name})" if person else by.name


# ---------------------------------------------------------------------- events


@router.get("/events", tags=["events"], response_class=StreamingResponse)
async def events(
    service: Service,
    by: Viewer,
    request: Request,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
    follow: bool = True,
) -> Response:
    """Everything that happens in all campaigns, live (server-sent events); each carries its number as `id`.

    A lost connection is taken up after `Last-Event-ID` (browsers send it) or `after`; without, it begins now.
    `follow=false` ends with the newest.
    """
    return _stream(service, request, None, after, last_event_id, follow)


@router.get("/campaigns/{campaign}/events", tags=["events"], response_class=StreamingResponse)
async def campaign_events(
    service: Service,
    by: Viewer,
    request: Request,
    campaign: Campaign,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
    follow: bool = True,
) -> Response:
    """Everything that happened and happens in one campaign, from its first entry or after `Last-Event-ID`."""
    await service.host.hosted(campaign)
    return _stream(service, request, campaign, after if after is not None else 0, last_event_id, follow)


def _stream(
    service: Running, request: Request, campaign: str | None, after: int | None, last: str | None, follow: bool
) -> Response:
    feed = service.host.feed
    start = int(last) if last is not None else feed.last if after is None else after

    async def lines() -> AsyncIterator[str]:
        yield ": pressopt\n\n"
        async for found in feed.watch(start, campaign, idle_s=_IDLE_S if follow else 0.0):
            if not found and not follow:
                return
            yield "".join(map(_event, found)) or ": still here\n\n"
            if await request.is_disconnected():
                return

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _event(news: News) -> str:
    return f"id: {news.number}\nevent: {news.row.kind}\ndata: {dumped(news.document())}\n\n"


# ---------------------------------------------------------------------- presses


@router.get("/presses", tags=["presses"])
async def list_presses(service: Service, by: Viewer) -> Response:
    """All presses of the service: state, what they work on, the last reading, who runs them."""
    return _json({"presses": service.presses.documents()})


@router.get("/presses/{press}", tags=["presses"])
async def get_press(service: Service, by: Viewer, press: bodies.PressName) -> Response:
    """One press."""
    return _json(service.presses.document(press))


@router.post("/presses/{press}/clear", tags=["presses"])
async def clear_press(
    service: Service, by: Operator, press: bodies.PressName, body: bodies.Clearing | None = None
) -> Response:
    """Allow motion again after a press was made safe and a person has looked at it."""
    note = body.note if body is not None else ""
    return await _once(service, by, lambda: service.presses.clear(press, _person(by, body), note, by))


@router.post("/presses/{press}/make-safe", tags=["presses"])
async def make_press_safe(service: Service, by: Operator, press: bodies.PressName) -> Response:
    """Break off what runs on a press and bring it into its safe state. The emergency stop is at the machine."""
    return await _once(service, by, lambda: service.presses.order(press, "make-safe", by))


@router.post("/presses/{press}/report", tags=["presses"], include_in_schema=False)
async def report(service: Service, by: Operator, press: bodies.PressName, request: Request) -> Response:
    """A runner tells how its press is and hands over its journal; it gets what people said to it."""
    return _json(await service.presses.report(press, await _object(request), by))


@router.post("/presses/{press}/work", tags=["presses"], include_in_schema=False)
async def work(service: Service, by: Operator, press: bodies.PressName) -> Response:
    """A runner asks for the next trial of its press."""
    return _json(await service.presses.work(press, by))


async def _object(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refused(422, "the body is not a JSON object")
    return found


# ---------------------------------------------------------------------- the service itself


@router.get("/health", tags=["service"])
async def health(service: Service) -> Response:
    """Whether the service is up; needs no token and tells nothing else."""
    return _json({"status": "ok", "now": utc_now().isoformat(timespec="milliseconds")})


@router.get("/about", tags=["service"])
async def about(service: Service, by: Viewer) -> Response:
    """Versions, who you are, and how much there is."""
    phases = [row["phase"] for row in service.host.summaries.values()]
    return _json(
        {
            "pressopt": service.version,
            "you": {"name": by.name, "role": by.role},
            "campaigns": {phase.value: phases.count(phase.value) for phase in CampaignPhase if phase.value != "-"},
            "last_event": service.host.feed.last,
            "quantities": {
                name: {"label": one.label, "unit": one.unit, "better": one.better}
                for name, one in QUANTITIES.items()
            },
            "failures": list(FAILURES),
        }
    )


@router.get("/acts", tags=["service"])
async def acts(
    service: Service,
    by: Administrator,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Who did what to the service itself."""
    return _json({"acts": await asyncio.to_thread(service.looking.acts, after, limit)})


@router.get("/tokens", tags=["service"])
async def list_tokens(service: Service, by: Administrator) -> Response:
    """Who may use the service; the tokens themselves are kept nowhere."""
    return _json({"tokens": service.looking.tokens()})


@router.post("/tokens", status_code=201, tags=["service"])
async def create_token(service: Service, by: Administrator, body: bodies.NewToken) -> Response:
    """Make a token; it is shown this once. An idempotency key does not bring it back: it is kept nowhere."""
    token, made = new_token(service.host.state, body.name, body.role)
    await service.host.note((made,), By(by.name, by.role), {})
    return _json({"name": body.name, "role": body.role, "token": token}, 201)


@router.delete("/tokens/{name}", tags=["service"])
async def revoke_token(
    service: Service, by: Administrator, name: Annotated[str, Path(pattern=r"^[\w.@-]{1,64}$")]
) -> Response:
    """End a token, at once."""
    return _json(
        await service.host.note((revoked(service.host.state, name),), By(by.name, by.role), {"name": name})
    )


def _file(file: Download) -> Response:
    """Return a file to be saved under its name; never as a page of this site."""
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return Response(file.data, media_type=file.media_type, headers=headers)
