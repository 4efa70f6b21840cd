"""Security headers as a company's checklist wants them on every answer."""

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request

with gr.Blocks() as demo:
    out = gr.Textbox(label="Greeting")
    gr.Button("Go").click(lambda: "secured", None, out)

app = FastAPI()


@app.middleware("http")
async def headers(request: Request, call_next):
    answer = await call_next(request)
    answer.headers["X-Frame-Options"] = "DENY"
    answer.headers["Content-Security-Policy"] = "object-src 'none'; frame-ancestors 'none'; base-uri 'self'"
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    answer.headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


app = gr.mount_gradio_app(app, demo, path="/")

if __name__ == "__main__":
    uvicorn.run(app)
