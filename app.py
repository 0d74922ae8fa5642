"""Graft: `streamlit run app.py`. Start-up, shutdown, upload routes, response headers; ui/shell.py is the app."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tl_core import fetch_jobs, import_jobs
from tl_core.runs import supervisor
from tl_core.runs.store import RunStore
from tl_core.workspace import Workspace
from ui import errors, upload_route

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
)


class SecurityHeaders:
    """Adds security headers to every response. Plain ASGI, because a buffering middleware would delay downloads."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Resume the queue of an earlier server; at the end, stop imports and downloads, and let the training save."""
    store = RunStore(Workspace.default())
    supervisor.clean_up(store)
    yield
    await asyncio.to_thread(import_jobs.stop_all, store.workspace)
    await asyncio.to_thread(fetch_jobs.stop_all, store.workspace)
    await asyncio.to_thread(supervisor.stop_all, store)


async def first_page(request: Request) -> RedirectResponse:
    """Redirect a link to the first page by its name to the root, the only place where Streamlit serves it."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")


app = st.App(
    "ui/shell.py",
    lifespan=lifespan,
    routes=[Route("/data", first_page), *upload_route.routes()],
    middleware=[Middleware(SecurityHeaders)],
    on_script_error=errors.unexpected,
)
