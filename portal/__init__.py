"""The portal: sign-in, roles, and the pages that show people their Gradio apps.

Importing this package imports nothing else, so that an app's process can share
``portal.contract`` without carrying Flask.
"""
