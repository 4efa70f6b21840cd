"""await uvicorn.Server(config).serve(), with things that belong to its own event loop."""

import asyncio

import gradio as gr
import uvicorn
from fastapi import FastAPI

questions: asyncio.Queue = asyncio.Queue()


async def answers():
    while True:
        question, answer = await questions.get()
        answer.set_result(question.upper())


async def ask(text, request: gr.Request):
    answer = asyncio.get_running_loop().create_future()
    await questions.put((text, answer))
    return f"{await answer} {request.username}"


async def main():
    task = asyncio.create_task(answers())
    app = FastAPI()
    gr.mount_gradio_app(app, gr.Interface(ask, "text", "text", api_name="ask"), path="/")
    await uvicorn.Server(uvicorn.Config(app, port=7860)).serve()
    task.cancel()
    print("serve() returned")


asyncio.run(main())
