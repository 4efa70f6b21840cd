"""Finds the person where apps with a sign-in of their own keep them: in the framework's session."""

import gradio as gr


def profile(request: gr.Request):
    user = request.request.session.get("user") or {}
    roles = sorted({role for tenant in user.get("tenants", {}).values() for role in tenant["roles"]})
    if request.session["user"]["roles"] != user["roles"]:  # Gradio's own way to it
        raise ValueError("two answers")
    seen = f"Hello, {user.get('name') or 'Guest'} <{user.get('email')}>: {', '.join(roles)}"
    user["name"] = "Another name"  # stays in this request
    return seen


with gr.Blocks() as demo:
    greeting = gr.Textbox(label="Greeting")
    gr.Button("Log out", link="/auth/logout")
    gr.Button("Administration", link="/gradio/admin")
    demo.load(profile, None, greeting, api_name="profile")
