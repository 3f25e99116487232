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
# No library reports to its maker: TELEMETRY_OFF of src/warraq/environment.py.
ENV DISABLE_TELEMETRY=1 DO_NOT_TRACK=1 HF_HUB_DISABLE_TELEMETRY=1 DVC_NO_ANALYTICS=1 \
    ITERATIVE_DO_NOT_TRACK=1 GRADIO_ANALYTICS_ENABLED=False ORT_DISABLE_TELEMETRY=1 OTEL_SDK_DISABLED=true \
    RAY_USAGE_STATS_ENABLED=0 VLLM_NO_USAGE_STATS=1 WANDB_ERROR_REPORTING=false

# Dependencies before code: a change of code does not install them again.
COPY --chown=warraq Makefile pyproject.toml requirements.lock README.md ./
COPY --chown=warraq src/warraq/__init__.py src/warraq/__init__.py
RUN --mount=type=cache,target=/home/warraq/.cache,uid=1000 UV_LINK_MODE=copy make setup

COPY --chown=warraq . .
RUN make setup

CMD ["make", "help"]
