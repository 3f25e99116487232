# syntax=docker/dockerfile:1
# The wheels of torch bring the CUDA libraries; the host brings the driver (NVIDIA container toolkit). What builds kernels of
# its own (flash-attn, DeepSpeed) needs CUDA's compiler: docker build --build-arg SYSTEM=cuda-devel.
# By version and not by digest, which only the registry tells; once put here (@sha256:...), dependabot keeps it.
ARG SYSTEM=slim

FROM python:3.11.11-slim-bookworm AS slim

FROM nvidia/cuda:13.0.1-devel-ubuntu24.04 AS cuda-devel
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM ${SYSTEM}
# git: DVC, and the commit in reports; the compiler: triton builds its launchers on the GPU host. Without versions: the
# distribution keeps only its newest, with its mends. The checkout is often another user's, which git must take.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential git make \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*' \
    && mkdir --mode 777 /opt/venv /workspace /home/warraq

# Any user may run it (docker run --user); root where nobody is named, as hosts that are reached by SSH need it.
WORKDIR /workspace
ENV HOME=/home/warraq USER=warraq VENV=/opt/venv PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
# No library reports to its maker: TELEMETRY_OFF of src/warraq/environment.py.
ENV DISABLE_TELEMETRY=1 DO_NOT_TRACK=1 HF_HUB_DISABLE_TELEMETRY=1 DVC_NO_ANALYTICS=1 \
    ITERATIVE_DO_NOT_TRACK=1 GRADIO_ANALYTICS_ENABLED=False ORT_DISABLE_TELEMETRY=1 OTEL_SDK_DISABLED=true \
    RAY_USAGE_STATS_ENABLED=0 VLLM_NO_USAGE_STATS=1 WANDB_ERROR_REPORTING=false

# Dependencies before code: a change of code does not install them again. Whoever runs it may change them.
COPY Makefile pyproject.toml requirements.lock README.md ./
COPY src/warraq/__init__.py src/warraq/__init__.py
RUN --mount=type=cache,target=/home/warraq/.cache umask 000 && UV_LINK_MODE=copy make setup

COPY . .
RUN umask 000 && make setup && chmod -R a+rwX /workspace /home/warraq

CMD ["make", "help"]
