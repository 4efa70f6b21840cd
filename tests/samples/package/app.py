"""Run as a module: relative imports work."""

import sys

import gradio as gr

from .parts import build

app_of_mine = build(gr)
print("argv:", sys.argv)
