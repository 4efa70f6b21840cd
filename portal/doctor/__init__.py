"""What breaks Gradio behind a web server, seen before a person does.

Probes look, through the real front, and tell what they saw (:mod:`portal.doctor.observed`); pure judges
make findings of it, each with its mend.
"""
