"""Talking to a Label Studio server: the SDK's client, and its errors as messages that say what to do."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.workspace import Workspace

LOCAL_URL = "http://127.0.0.1:8080"
URL_VARIABLE, TOKEN_VARIABLE = "LABEL_STUDIO_URL", "LABEL_STUDIO_TOKEN"
TIMEOUT = 300
"""Seconds an answer may take: a batch of masks takes a slow server a minute."""


class ServerGone(LabelStudioError):
    """No answer came: whether the request was carried out is not known."""


def connect(workspace: Workspace, url: str | None = None, token: str | None = None, timeout: float = TIMEOUT) -> LabelStudio:
    """The SDK's client, once the server has answered that it knows the token.

    Args:
        url: of the server; by default that of the environment (LABEL_STUDIO_URL), else the local one.
        token: personal access token or legacy token; by default that of the environment (LABEL_STUDIO_TOKEN), else the one that
            `serve` has put into the working folder.
        timeout: seconds that an answer may take.

    Raises:
        LabelStudioError: no token at hand, no server there, or one that refuses the token.
    """
    url = url or os.environ.get(URL_VARIABLE) or LOCAL_URL
    token = token or os.environ.get(TOKEN_VARIABLE)
    if not token:
        if not workspace.token.is_file():
            reason = f"{workspace.token} is not there"
            raise LabelStudioError(
                f"no token for {url}: {reason}; start a server with `serve`, or give --token or {TOKEN_VARIABLE}"
            )
        token = workspace.token.read_text().strip()
    # A sub-path without a slash at its end would be lost where the SDK joins addresses. The SDK's own second try would make tasks
    # twice where an answer was lost.
    with translate_api_errors(url):
        client = LabelStudio(base_url=url.rstrip("/") + "/", api_key=token, timeout=timeout, max_retries=0)
        client.users.whoami()
    return client


def find_project(client: LabelStudio, title: str) -> Any:
    """The project of that title; None if there is none. The server finds titles that hold the word as well."""
    return next((one for one in client.projects.list(title=title) if one.title == title), None)


def tasks_where(field: str, operator: str, kind: str, value: Any) -> str:
    """Query of tasks by one condition, as the Data Manager writes it."""
    condition = {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}
    return json.dumps({"filters": {"conjunction": "and", "items": [condition]}})


@contextmanager
def translate_api_errors(what: str) -> Iterator[None]:
    """Turn the SDK's errors within the block into ours.

    The SDK's own text holds headers and a session cookie, so nothing of it but the server's stated reason is passed on.

    Args:
        what: what is being done, or the address; begins the message.

    Raises:
        ServerGone: no answer, or one without meaning (5xx).
        LabelStudioError: the server refuses.
    """
    try:
        yield
    except ApiError as error:
        raise _refusal(what, error.status_code, error.body) from None
    except httpx.HTTPStatusError as error:
        raise _refusal(what, error.response.status_code, error.response.text) from None
    except httpx.ConnectError:
        raise ServerGone(f"{what}: no server answers there; start one with `serve`, or correct --url") from None
    except httpx.TimeoutException:
        raise ServerGone(f"{what}: no answer in time; see whether the server is overloaded, then run the command again") from None
    except httpx.TransportError as error:
        reason = f"the connection broke ({type(error).__name__})"
        raise ServerGone(f"{what}: {reason}; run the command again, it goes on where it stopped") from None
    except httpx.InvalidURL as error:
        raise LabelStudioError(f"{what}: is no address ({error}); give one like {LOCAL_URL}") from None


def _refusal(what: str, status: int | None, body: Any) -> LabelStudioError:
    if status == 401:
        return LabelStudioError(f"{what}: the token is wrong, expired or revoked (401); copy a new one from Account & Settings")
    if status == 403:
        return LabelStudioError(f"{what}: the token's owner may not do this (403); ask the server's administrator for the right")
    if status == 404:
        return LabelStudioError(f"{what}: not there (404); correct --url (with the sub-path, if the server has one)")
    if status is None or status >= 500:
        reason = f"the server failed ({status}){_reason(body)}"
        return ServerGone(f"{what}: {reason}; look into its log, then run the command again: it goes on where it stopped")
    return LabelStudioError(f"{what}: refused ({status}){_reason(body)}")


def _reason(body: Any) -> str:
    """The reason that the server states, at most a few lines of it; a page of HTML states none."""
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail") or body
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return f": {text[:400]}" if text and not text.startswith("<") else ""
