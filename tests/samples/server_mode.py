"""gr.Server with an API, a page, and MCP; launched while an event loop runs."""

import asyncio

import gradio as gr
from starlette.requests import Request
from starlette.responses import HTMLResponse

server = gr.Server()


@server.api(name="shout")
def shout(text: str, request: gr.Request) -> str:
    """Say it loudly.

    Args:
        text: what to say
    """
    return f"{text.upper()} {request.username}"


@server.get("/")
def home() -> HTMLResponse:
    return HTMLResponse("<h1>home</h1>")


@server.get("/mine")
def mine(request: Request):
    return {"visitor": request.scope["portal.visitor"].username}


async def main():
    server.launch(mcp_server=True)


if __name__ == "__main__":
    asyncio.run(main())
