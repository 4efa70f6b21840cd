"""An ASGI app without Gradio, which starts in a moment; it serves itself with uvicorn."""

import asyncio
import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def who(_request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(os.getpid()))


async def slowly(_request: Request) -> PlainTextResponse:
    await asyncio.sleep(2)
    return PlainTextResponse("done")


uvicorn.run(Starlette(routes=[Route("/", who), Route("/slowly", slowly)]))
