"""The Gradio apps of the portal, and in ``runtime`` the machinery that serves them."""
