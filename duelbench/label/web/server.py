"""The web server of ``duelbench label``: one page, and the same in JSON for programs.

Only whoever has the token gets an answer; the page takes it from its address, a program sends it as a header,
``Authorization: Bearer TOKEN``. A request that another site's page sends is refused.
"""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from duelbench.conversation import transcript
from duelbench.errors import UsageError
from duelbench.label.asking.duel import AnsweredError, Duel, UnknownDuelError
from duelbench.label.questionnaire import Questionnaire
from duelbench.label.web.markdown import rendered
from duelbench.records.files import as_json_lines
from duelbench.results.exports.preferences import Preferences, decided
from duelbench.results.people import summary

_BODY_BYTES = 4096
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_STATUS = {UnknownDuelError: 404, AnsweredError: 409}


class Server:
    """Answers requests about one questionnaire. What is due is done in a thread of its own, so that nobody waits.

    Args:
        asked: what people are asked about.
        player: the one thread in which it was opened, and goes on.
        token: what a request must bring along.
        guidelines: Markdown beside the questions.
        title: of the page.
        grace: seconds for which the last answers can still be taken back.
        done: called once when it is finished, or stopped.

    Attributes:
        error: what stopped it, if anything did.
    """

    def __init__(
        self,
        asked: Questionnaire,
        player: ThreadPoolExecutor,
        *,
        token: str,
        guidelines: str = "",
        title: str = "duelbench",
        grace: float = 0.0,
        done: Callable[[], None] | None = None,
    ) -> None:
        self.asked, self.token = asked, token
        self.error: Exception | None = None
        self._player, self._grace, self._done = player, grace, done
        self._about = {"title": title, "guidelines": rendered(guidelines), "grace": grace}
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self.app = Starlette(
            routes=[
                Route("/", self._file("page.html")),
                Route("/page.js", self._file("page.js")),
                Route("/page.css", self._file("page.css")),
                Route("/api/about", self._guarded(self._say_about)),
                Route("/api/next", self._guarded(self._next)),
                Route("/api/answer", self._guarded(self._answer), methods=["POST"]),
                Route("/api/undo", self._guarded(self._undo), methods=["POST"]),
                Route("/api/status", self._guarded(self._status)),
                Route("/api/export.jsonl", self._guarded(self._export)),
            ],
            lifespan=self._playing,
            exception_handlers={HTTPException: _complain},
        )

    @asynccontextmanager
    async def _playing(self, app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self._play())
        try:
            yield
        finally:
            task.cancel()

    async def _play(self) -> None:
        """Do what is due whenever anything is; the end comes when nobody has taken an answer back for a while."""
        while not self.asked.finished and self.error is None:
            self._wake.clear()
            if self.asked.due:
                await self._do(self.asked.go_on)
            elif not self.asked.complete:
                await self._wake.wait()
            elif not await self._woken_within(self._grace):
                await self._do(self.asked.finish)
        if self._done is not None:
            self._done()

    async def _do(self, step: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._player, step)
        except Exception as error:  # it is raised again when the server has ended
            self.error = error
        async with self._moved:
            self._moved.notify_all()

    async def _woken_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _guarded(self, handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """A handler that strangers do not reach, and whose user errors are said in a sentence."""

        @functools.wraps(handle)
        async def handler(request: Request) -> Response:
            _check_origin(request)
            sent = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not secrets.compare_digest(sent.encode(), self.token.encode()):
                raise HTTPException(401, "the token is missing or wrong: use the address that duelbench label printed")
            try:
                answer = await handle(request)
            except UsageError as error:
                raise HTTPException(_STATUS.get(type(error), 422), str(error)) from error
            return answer if isinstance(answer, Response) else JSONResponse(answer, headers=_HEADERS)

        return handler

    def _file(self, name: str) -> Callable[[Request], Any]:
        kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
        content = files("duelbench.label.web").joinpath(name).read_bytes()
        kind = kinds[name.rpartition(".")[2]]

        async def handler(request: Request) -> Response:
            return Response(content, media_type=f"{kind}; charset=utf-8", headers=_HEADERS)

        return handler

    async def _say_about(self, request: Request) -> dict[str, Any]:
        return self._about

    async def _next(self, request: Request) -> dict[str, Any]:
        """The question before somebody, or why there is none; ``wait`` seconds are waited for one at most."""
        annotator = request.query_params.get("annotator", "")
        wait = _number(request.query_params.get("wait", "0"), "wait", 30.0)
        duels = self.asked.take(annotator, 1)
        if not duels and wait and self.asked.state in ("thinking", "asking"):
            self._wake.set()  # somebody is waiting: more may have to be asked
            async with self._moved:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), wait)
            duels = self.asked.take(annotator, 1)
        return self._seen(duels[0] if duels else None, html="html" in request.query_params)

    def _seen(self, duel: Duel | None, *, html: bool) -> dict[str, Any]:
        """A question as the API gives it; without one, ``state`` says why."""
        desk = self.asked.desk
        where = {"asked": desk.answered, "budget": self.asked.budget}
        if duel is None:
            state = self.asked.state
            ending = {"ending": self.asked.ending} if state == "done" else {}
            return {"id": None, **where, "state": "waiting" if state == "asking" else state, **ending}
        texts = {"prompt": transcript(duel.prompt), "first": duel.first, "second": duel.second}
        more = {"html": {name: rendered(text) for name, text in texts.items()}} if html else {}
        return {"id": duel.id, **texts, **where, "state": "asking", **more}

    async def _answer(self, request: Request) -> dict[str, Any]:
        sent = await _body(request, {"id": str, "annotator": str, "verdict": str}, {"seconds": (int, float)})
        await run_in_threadpool(self.asked.tell, sent["id"], sent["verdict"], sent["annotator"], sent.get("seconds"))
        await self._move()
        return {"asked": self.asked.desk.answered, "budget": self.asked.budget}

    async def _undo(self, request: Request) -> dict[str, Any]:
        sent = await _body(request, {"annotator": str}, {})
        if self.asked.finished:
            raise AnsweredError("all is finished: what was said can no longer be taken back")
        duel = await run_in_threadpool(self.asked.undo, sent["annotator"])
        await self._move()
        return self._seen(duel, html="html" in request.query_params)

    async def _move(self) -> None:
        """Something was said: the agent may have to go on, and others may get what was skipped or taken back."""
        self._wake.set()
        async with self._moved:
            self._moved.notify_all()

    async def _status(self, request: Request) -> dict[str, Any]:
        status = await run_in_threadpool(self.asked.status)
        return status | {"quality": summary(self.asked.desk.said())}

    async def _export(self, request: Request) -> Response:
        found = Preferences()
        answers = await run_in_threadpool(self.asked.desk.answers)
        rows = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in decided(answers, found)]
        return Response(as_json_lines(rows), media_type="application/x-ndjson", headers=_HEADERS)


def _check_origin(request: Request) -> None:
    """Refuse what a page of another site sends, and a name that was made to lead here.

    Raises:
        HTTPException: 403.
    """
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        raise HTTPException(403, f"requests from {origin} are refused")
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise HTTPException(403, "requests from other sites are refused")


async def _body(request: Request, needed: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        HTTPException: it is too long, no JSON, or has other fields.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "the body must be JSON, with Content-Type: application/json")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _BODY_BYTES:
            raise HTTPException(413, f"the body has more than {_BODY_BYTES} bytes")
    try:
        sent = json.loads(content, parse_constant=_refuse)
    except ValueError:
        raise HTTPException(400, "the body is no JSON") from None
    if not isinstance(sent, dict):
        raise HTTPException(422, f"expected a JSON object with {', '.join(needed)}")
    for name, kind in needed.items():
        if not isinstance(sent.get(name), kind):
            raise HTTPException(422, f"{name} must be a text, got {json.dumps(sent.get(name))[:60]}")
    for name, kind in more.items():
        value = sent.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            raise HTTPException(422, f"{name} must be a number, got {json.dumps(value)[:60]}")
    if unknown := sorted(sent.keys() - needed.keys() - more.keys()):
        raise HTTPException(422, f"unknown field {unknown[0]!r:.60}: expected {', '.join([*needed, *more])}")
    return sent


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and infinities are no JSON


def _number(text: str, name: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise HTTPException(422, f"{name} must be a number from 0 to {most:g}, got {text!r:.60}")
    return value


async def _complain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers={**_HEADERS, **(error.headers or {})})
