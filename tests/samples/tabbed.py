"""TabbedInterface over an Interface and a ChatInterface that streams; launched from a helper thread."""

import threading
import time

import gradio as gr


def chat(message, history, request: gr.Request):
    for word in (message, request.username, str(len(history))):
        time.sleep(0.01)
        yield word


demo = gr.TabbedInterface(
    [
        gr.Interface(lambda text: text[::-1], "text", "text", api_name="reverse"),
        gr.ChatInterface(chat, api_name="chat"),
    ],
    ["Reverse", "Chat"],
)

if __name__ == "__main__":
    thread = threading.Thread(target=demo.launch)
    thread.start()
    thread.join()
