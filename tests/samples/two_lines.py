"""Somebody's own ASGI app, guarded by two lines; run with ``uvicorn two_lines:app``."""

import asyncio
import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gradio_apps.runtime.guard import Guard, guard_settings_from


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.scope['portal.visitor'].name}")


async def ticks(_request: Request) -> Response:
    async def forever() -> AsyncIterator[str]:
        while True:
            yield "tick\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(forever())


app = Starlette(routes=[Route("/", hello), Route("/ticks", ticks)])
app = Guard(app, settings=guard_settings_from(os.environ))
