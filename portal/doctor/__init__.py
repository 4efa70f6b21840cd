"""``portal doctor``: probes the real deployment and reports what would break Gradio behind its reverse proxy.

Probes look, through the real front, and tell what they saw (:mod:`portal.doctor.observations`); pure judges
make findings of it, each with its fix.
"""
