# syntax=docker/dockerfile:1
# One image for the portal and for apps; compose.yaml shows both. docs/deploy.md has the steps.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN ["python", "-m", "venv", "/opt/gradio-portal"]
WORKDIR /build
# What changes rarely comes first; every archive must have the hash that is written down, and nothing is resolved.
COPY requirements.txt requirements-postgresql.txt ./
RUN ["/opt/gradio-portal/bin/python", "-m", "pip", "install", "--no-deps", "--require-hashes", "-r", "requirements.txt", "-r", "requirements-postgresql.txt"]
COPY pyproject.toml README.md LICENSE CHANGELOG.md wsgi.py ./
COPY portal ./portal
COPY gradio_apps ./gradio_apps
COPY templates ./templates
COPY static ./static
RUN ["/opt/gradio-portal/bin/python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "."]

FROM python:3.13-slim
# A number that no user of the machine has; /data belongs to it, and so does what a new volume there begins with.
RUN ["install", "-d", "-o", "10001", "-g", "10001", "-m", "0700", "/data", "/etc/gradio-portal"]
COPY --from=build /opt/gradio-portal /opt/gradio-portal
ENV PATH=/opt/gradio-portal/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    PORTAL_CONFIG=/etc/gradio-portal/portal.toml \
    PORTAL_DATA_DIR=/data
USER 10001:10001
# Here the portal finds .env beside portal.toml; nothing secret is in the image.
WORKDIR /etc/gradio-portal
VOLUME ["/data"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 7800, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["portal"]
CMD ["serve", "--no-browser"]
