"""A bundle's model behind Label Studio's page: suggestions when a task opens, regions of words that an expert types.

The server side of Label Studio's protocol for models: GET /health and /versions, POST /setup, /predict and /webhook.
"""

import contextlib
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from label_studio_sdk import LabelStudio
from pydantic import BaseModel

from integrations.label_studio.backend.model import BundleModel
from integrations.label_studio.backend.queue import BatchQueue, Busy
from integrations.label_studio.backend.tasks import Refused, TaskQuestion, phrase_of
from integrations.label_studio.client import find_project, translate_api_errors
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.workspace import Workspace
from scripts.files.errors import UserError

USER = "label-studio"
MAX_BYTES = 32 * 2**20
"""Of a request: tasks come with what has been drawn on them."""
CAPACITY = 64
"""Questions that may wait for the model."""
PATIENCE = 90
"""Seconds until a caller is told that it takes too long; Label Studio waits 100."""
RETRY = {"Retry-After": "2"}


class LabelStudioTask(BaseModel):
    """Of a task what a model needs."""

    id: int | None = None
    data: dict[str, Any]


class Parameters(BaseModel):
    """`context`: what the user has just drawn or typed, in interactive calls."""

    context: dict[str, Any] | None = None


class PredictRequest(BaseModel):
    """Tasks to predict, and the labeling configuration of their project."""

    tasks: list[LabelStudioTask]
    label_config: str = ""
    params: Parameters = Parameters()


class BodyLimit:
    """Answers 413 to requests with more than `most` bytes, whatever length they state, before anything is made of them."""

    def __init__(self, app: Any, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body, more = bytearray(), True
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = not stated.isdigit() or int(stated) > self.most
        while more and not too_large:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            too_large = len(body) > self.most
        if too_large:
            answer = JSONResponse({"detail": f"requests have {self.most:,} bytes at most"}, 413, {"Connection": "close"})
            return await answer(scope, receive, send)

        whole = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])

        async def read() -> dict[str, Any]:
            return next(whole, None) or await receive()

        return await self.app(scope, read, send)


def create_app(model: BundleModel, workspace: Workspace, password: str) -> FastAPI:
    """The app. Everything but /health and /webhook, which Label Studio calls without them, asks for `USER` and password.

    Answers of /predict: 400 images outside the image folder, 401, 413 too many bytes, 422 tasks that cannot be answered, with the
    reason, 503 too many wait.

    Args:
        model: answers.
        workspace: working folder that the projects were pushed from.
        password: that Label Studio has to give.
    """
    waiting = BatchQueue(model.answer, model.batch_size, CAPACITY)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with waiting:
            yield

    # No pages about the app: they would be open to everyone.
    app = FastAPI(title=model.version, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(BodyLimit, most=MAX_BYTES)
    basic = HTTPBasic(realm="model")

    def identified(given: Annotated[HTTPBasicCredentials, Depends(basic)]) -> None:
        right = [secrets.compare_digest(a.encode(), b.encode()) for a, b in ((given.username, USER), (given.password, password))]
        if not all(right):
            raise HTTPException(401, "wrong user or password", {"WWW-Authenticate": 'Basic realm="model"'})

    @app.exception_handler(UserError)
    def refused(_: Request, error: UserError) -> JSONResponse:
        if isinstance(error, Busy):
            return JSONResponse({"detail": str(error)}, 503, RETRY)
        return JSONResponse({"detail": str(error)}, 400 if isinstance(error, Refused) else 422)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "UP"}

    @app.post("/webhook")
    async def webhook() -> dict[str, str]:
        """Events of the project. Nothing learns from them: reviews come back through `pull`."""
        return {"status": "ignored"}

    @app.post("/setup", dependencies=[Depends(identified)])
    def setup() -> dict[str, str]:
        return {"model_version": model.version}

    @app.get("/versions", dependencies=[Depends(identified)])
    def versions() -> dict[str, list[str]]:
        return {"versions": [model.version]}

    @app.post("/predict", dependencies=[Depends(identified)])
    def predict(request: PredictRequest) -> dict[str, list[dict[str, Any]]]:
        phrase, interactive = phrase_of(request.params.context), request.params.context is not None
        if interactive and phrase is None:
            # A region drawn by hand, say: there is nothing to find.
            return {"results": [_empty(model) for _ in request.tasks]}
        if interactive and not model.takes_phrases:
            raise LabelStudioError(f"{model.version} has learned no words: serve a bundle whose model points at phrases")
        results = []
        for start in range(0, len(request.tasks), CAPACITY // 2):
            tasks = request.tasks[start : start + CAPACITY // 2]
            questions = [TaskQuestion(workspace, task.data, request.label_config, model.domain, phrase) for task in tasks]
            results += _answers(model, waiting, questions)
        return {"results": [{"model_version": model.version, **result} for result in results]}

    return app


def _empty(model: BundleModel) -> dict[str, Any]:
    return {"model_version": model.version, "score": 0.0, "result": []}


def _answers(model: BundleModel, waiting: BatchQueue, questions: list[TaskQuestion]) -> list[dict[str, Any]]:
    """Read, then wait for all; who waits too long, or for something that fails, takes the others back."""
    items = [model.read(question.record) for question in questions]
    futures: list[Future] = []
    try:
        for item, question in zip(items, questions, strict=True):
            futures.append(waiting.submit((item, question.draw)))
        return [future.result(PATIENCE) for future in futures]
    except TimeoutError:
        raise Busy(f"no answer within {PATIENCE} s; serve the model on a faster machine, or ask for fewer tasks") from None
    except CancelledError:
        raise Busy("the backend is closing") from None
    finally:
        for future in futures:
            future.cancel()


def register(client: LabelStudio, project: str, url: str, password: str, model: BundleModel) -> None:
    """Connect a project to a backend that runs: at `url`, as the Label Studio server reaches it.

    Raises:
        LabelStudioError: no such project, or a server that does not reach the backend.
    """
    with translate_api_errors(f"project {project}"):
        found = find_project(client, project)
        if found is None:
            raise LabelStudioError(f"project {project} is not there; push predictions to it first")
        settings = {
            "url": url,
            "title": model.version,
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": USER,
            "basic_auth_pass": password,
            "is_interactive": model.takes_phrases,
        }
        there = next((one for one in client.ml.list(project=found.id) if one.url == url), None)
        if there is None:
            client.ml.create(project=found.id, **settings)
        else:
            client.ml.update(there.id, project=found.id, **settings)
        client.projects.update(found.id, evaluate_predictions_automatically=True)


@contextlib.contextmanager
def running(app: FastAPI, host: str, port: int) -> Iterator[threading.Thread]:
    """Serve an app from a thread, which the block gets, while it runs; the port is bound when it begins.

    Raises:
        LabelStudioError: the port is taken.
    """
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning", server_header=False))
    thread = threading.Thread(target=server.run, name="backend", daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
        if not thread.is_alive():
            raise LabelStudioError(f"{host}:{port} is taken or not this machine's; give another --port")
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join()
