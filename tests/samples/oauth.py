"""launch() inside the with; LoginButton, OAuthProfile and OAuthToken; cached examples; pickled classes."""

import pickle
from dataclasses import dataclass

import gradio as gr


@dataclass
class Counter:
    count: int = 0


def hello(profile: gr.OAuthProfile | None, token: gr.OAuthToken | None) -> str:
    return "nobody" if profile is None else f"{profile.name} {profile.username} {token.scope if token else None}"


def count(counter):
    again = pickle.loads(pickle.dumps(counter))
    again.count += 1
    return again, again.count


calls = []


def slowly(text):
    calls.append(text)
    return text.upper()


with gr.Blocks(title="OAuth") as demo:
    gr.LoginButton()
    state = gr.State(Counter())
    out = gr.Textbox()
    text = gr.Textbox()
    gr.Button().click(hello, None, out, api_name="hello")
    gr.Button().click(count, state, [state, gr.Number()], api_name="count")
    gr.Button().click(lambda: len(calls), None, gr.Number(), api_name="cached")
    gr.Examples(["one", "two"], text, out, fn=slowly, cache_examples=True)
    demo.launch()
