"""Two ways in which apps switch between light and dark themselves: by a class, and by Gradio's own parameter."""

import gradio as gr

BY_PARAMETER = """() => {
  const url = new URL(window.location);
  url.searchParams.set("__theme", url.searchParams.get("__theme") === "dark" ? "light" : "dark");
  window.location.href = url.href;
}"""

with gr.Blocks() as demo:
    gr.Button("By class").click(None, js="() => { document.body.classList.toggle('dark'); }")
    gr.Button("By parameter").click(None, js=BY_PARAMETER)

demo.launch()
