"""An app that answers with anything but pages: data at its root, text, a picture and a document beside it, and links to them."""

import base64

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n"
)


async def data(_request: Request) -> JSONResponse:
    return JSONResponse({"rows": [1, 2, 3]})


async def text(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain words")


async def picture(_request: Request) -> Response:
    return Response(PNG, media_type="image/png")


async def document(_request: Request) -> Response:
    return Response(PDF, media_type="application/pdf")


async def page(_request: Request) -> HTMLResponse:
    links = " ".join(f'<a href="/{name}">{name}</a>' for name in ("text", "picture", "document"))
    return HTMLResponse(f"<!doctype html><html><head><title>Links</title></head><body>{links}</body></html>")


NAMED = (text, picture, document, page)
uvicorn.run(Starlette(routes=[Route("/", data), *(Route(f"/{one.__name__}", one) for one in NAMED)]))
