"""A FastAPI of its own, Gradio mounted in it, uvicorn.run by import string with reload."""

from contextlib import asynccontextmanager

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app):
    print("custom startup")
    yield {"color": "green"}
    print("custom shutdown")


app = FastAPI(lifespan=lifespan)


@app.get("/custom")
def custom(request: Request):
    return {"color": request.state.color, "visitor": request.scope["portal.visitor"].username}


def who(name, request: gr.Request):
    return f"{name} {request.username}"


demo = gr.Interface(who, "text", "text", api_name="who")
app = gr.mount_gradio_app(app, demo, path="/", auth=("a", "b"), ssr_mode=True)

if __name__ == "__main__":
    uvicorn.run("mounted:app", host="0.0.0.0", port=7860, reload=True, workers=4)
