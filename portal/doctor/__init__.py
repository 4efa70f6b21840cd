"""``portal doctor``: probes the real deployment and reports what would break Gradio behind its reverse proxy.

Probes send requests through the real reverse proxy and return observations (:mod:`portal.doctor.observations`).
Pure checks turn observations into findings, each with its fix.
"""
