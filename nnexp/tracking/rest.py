"""MLflow's REST interface, asked without importing MLflow, which takes seconds."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener


class Rest:
    """An MLflow server: its address without what is secret in it, and how to ask it."""

    def __init__(self, uri: str, seconds: float) -> None:
        parts = urlsplit(uri)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._base, self._seconds = address.removesuffix("/"), seconds
        self._headers = {"Content-Type": "application/json"}
        who = _authorization(parts)
        if who is not None:
            self._headers["Authorization"] = who
        self._opener = build_opener(_NoRedirects)

    def ask(self, endpoint: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the answer to a GET or, with a body, a POST. Raises: OSError if there is none that says yes."""
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._base}/api/2.0/mlflow/{endpoint}", content, self._headers)
        with self._opener.open(request, timeout=self._seconds) as answer:
            return dict(json.load(answer))


class _NoRedirects(HTTPRedirectHandler):
    """Never sends credentials to where a server points."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _authorization(parts: SplitResult) -> str | None:
    """Return the header that MLflow would send: by the address, else by MLFLOW_TRACKING_USERNAME and so on."""
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
    elif not (user and password):
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        return f"Bearer {token}" if token else None
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
