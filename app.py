"""Graft: `streamlit run app.py`. Start-up, clean shutdown, uploads, response headers; the app is ui/shell.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tl_core import import_jobs
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
    """Adds headers to every response; plain ASGI, because a buffering middleware would hold up downloads."""

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
    """Take up the queue that an earlier server left; at the end, let the training at work write its state down."""
    store = RunStore(Workspace.default())
    supervisor.clean_up(store)
    yield
    await asyncio.to_thread(import_jobs.stop_all, store.workspace)
    await asyncio.to_thread(supervisor.stop_all, store)


app = st.App(
    "ui/shell.py",
    lifespan=lifespan,
    routes=upload_route.routes(),
    middleware=[Middleware(SecurityHeaders)],
    on_script_error=errors.unexpected,
)
