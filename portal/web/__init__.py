"""The Flask application: its services, its limits and its views."""
