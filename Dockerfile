# syntax=docker/dockerfile:1
# The wheels of torch bring the CUDA libraries; the host brings the driver (NVIDIA container toolkit).
FROM python:3.11.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 warraq \
    && mkdir /opt/venv /workspace \
    && chown warraq /opt/venv /workspace

USER warraq
WORKDIR /workspace
ENV VENV=/opt/venv PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1

# Dependencies before code: a change of code does not install them again.
COPY --chown=warraq Makefile pyproject.toml requirements.lock README.md ./
RUN --mount=type=cache,target=/home/warraq/.cache,uid=1000 \
    python -m venv /opt/venv \
    && pip --quiet --disable-pip-version-check install "$(grep -oE '^uv==[0-9.]+' requirements.lock)" \
    && UV_LINK_MODE=copy uv pip sync --python /opt/venv/bin/python --require-hashes requirements.lock

COPY --chown=warraq . .
RUN make setup

CMD ["make", "help"]
