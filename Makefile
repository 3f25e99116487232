# Verbs for people. The pipeline itself is dvc.yaml; there is no second one here.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
ENVIRONMENT := $(if $(filter /%,$(VENV)),$(VENV),$(CURDIR)/$(VENV))
STUDENT ?= nano
DOCUMENTS ?= 200
SEED ?= 1
REVIEW := $(addprefix --review ,$(wildcard reports/$(STUDENT)/review.json))
NEED_GIB := 9
KEYS := GEMINI_API_KEY HF_TOKEN WANDB_API_KEY WANDB_MODE

export PATH := $(ENVIRONMENT)/bin:$(PATH)
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM := false
# Where a machine forbids it, every process compiles its libraries anew: 12 s of 21 for the trainer alone.
export PYTHONDONTWRITEBYTECODE :=
# The environment is whole: modules of elsewhere, as ROS and others put them there, would come before its own.
unexport PYTHONPATH PYTHONHOME
# DVC's own place for what it knows of files is shared by all users of a machine.
export DVC_SITE_CACHE_DIR ?= $(CURDIR)/.dvc/tmp/site
# No library reports to its maker: TELEMETRY_OFF of src/warraq/environment.py.
export DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DVC_NO_ANALYTICS := 1
export ITERATIVE_DO_NOT_TRACK := 1
export GRADIO_ANALYTICS_ENABLED := False
export ORT_DISABLE_TELEMETRY := 1
export OTEL_SDK_DISABLED := true
export RAY_USAGE_STATS_ENABLED := 0
export VLLM_NO_USAGE_STATS := 1
export WANDB_ERROR_REPORTING := false

.PHONY: help setup lock demo test quick docs check repro fetch status review read serve image shell clean

help: ## List the verbs
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile
	@echo "make status tells how far the project is, and the next command."

setup: $(VENV)/.stamp ## Create the environment (.venv) from requirements.lock

# Scripts of an environment hold its path, and the package that of the checkout: where either has moved, or the packages are
# others, it is made anew. By content and not by time: a checkout that is newer than an image needs no network for it.
PACKAGES := $(firstword $(shell sha256sum <requirements.lock))
ifneq ($(shell cat "$(VENV)/.stamp" 2>/dev/null),$(ENVIRONMENT) $(CURDIR) $(PACKAGES))
.PHONY: $(VENV)/.stamp
endif

$(VENV)/.stamp:
	@[ ! -s "$@" ] || [ "$$(head -n 1 "$@")" = "$(ENVIRONMENT)" ] || rm -r "$(VENV)"
	@fail() { echo "warraq: $$1" >&2; exit 2; }; \
	command -v "$(PYTHON)" >/dev/null || fail "there is no $(PYTHON); install Python 3.11 or 3.12, or name it: make setup PYTHON=/path/to/python3.11"; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	  || fail "$(PYTHON) is $$("$(PYTHON)" --version 2>&1); warraq needs 3.11 or 3.12: make setup PYTHON=/path/to/python3.11"; \
	"$(PYTHON)" -c 'import platform, sys; sys.exit((platform.system(), platform.machine()) != ("Linux", "x86_64"))' \
	  || fail "this is $$(uname -sm); the locked packages are for Linux x86_64. Use the container: make image"; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
	  || fail "$(PYTHON) has no venv module; install it (Debian and Ubuntu: apt install python3-venv)"; \
	if [ ! -x "$(VENV)/bin/uv" ]; then \
	  free=$$(( $$(df -Pk "$(dir $(VENV))" | awk 'NR==2 {print $$4}') / 1048576 )); \
	  [ "$$free" -ge $(NEED_GIB) ] || fail "$(dir $(VENV)) has $$free GiB free; the environment needs $(NEED_GIB)"; \
	  "$(PYTHON)" -m venv "$(VENV)"; \
	  "$(VENV)/bin/python" -m pip --quiet --disable-pip-version-check install --require-hashes \
	    --requirement <(awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock); \
	fi
	@"$(VENV)/bin/uv" pip sync --quiet --python "$(VENV)/bin/python" --require-hashes requirements.lock
	@"$(VENV)/bin/uv" pip install --quiet --python "$(VENV)/bin/python" --no-deps --no-build-isolation --editable .
	@printf '%s\n' "$(ENVIRONMENT)" "$(CURDIR)" "$(PACKAGES)" >"$@"
	@echo "environment ready: $(VENV)"

lock: ## Write requirements.lock anew from pyproject.toml
	uv pip compile pyproject.toml --extra dev --extra qwen --extra gguf --extra gpu --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --universal --python-version 3.11 --output-file requirements.lock --quiet

# What makes a student's report, and its table where nothing had to run: `evaluate` prints it itself.
define report
@before=$$(stat --format %Y reports/$(1)/metrics.json 2>/dev/null || true); \
$(2); \
[ "$$(stat --format %Y reports/$(1)/metrics.json)" != "$$before" ] || warraq show reports/$(1)
endef

demo: setup ## The main job on synthetic documents with the nano student; no GPU, no key
	@warraq synth data --documents $(DOCUMENTS) --seed $(SEED)
	@warraq prepare
	$(call report,nano,dvc repro evaluate@nano)

test: setup ## Run the tests, on all cores
	@OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

quick: setup ## Run the tests that train and export nothing, on all cores
	@OMP_NUM_THREADS=1 pytest -m "not slow" --numprocesses auto --dist loadfile --no-loadscope-reorder

docs: setup ## Write docs/cli.md anew from the commands
	@python -m warraq.cli.reference >docs/cli.md.part && mv docs/cli.md.part docs/cli.md

check: setup ## Format, lint, types and import layers
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports

fetch: setup ## Put the base model of STUDENT into models/STUDENT/base
	@HF_HUB_OFFLINE=0 warraq fetch $(STUDENT)

repro: fetch ## The pipeline on your own files in data/raw, for STUDENT
	@warraq prepare
	$(call report,$(STUDENT),if dvc remote list | grep -q .; \
	then dvc pull --allow-missing label; dvc repro --pull --allow-missing evaluate@$(STUDENT); \
	  dvc pull --allow-missing merge@$(STUDENT) export@$(STUDENT) evaluate@$(STUDENT); \
	else dvc repro evaluate@$(STUDENT); fi)

status: setup ## How far the project is for STUDENT, and the next command
	@warraq status $(STUDENT)

review: setup ## Make pages of data/raw; label, correct and check them in the browser
	@warraq prepare
	@dvc repro render || [ -e data/pages/pages.jsonl ] # as where another stage runs, which keeps DVC to itself
	@warraq review $(addprefix --model ,$(patsubst %/warraq.json,%,$(wildcard models/$(STUDENT)/onnx/warraq.json))) $(OPTIONS)

read: setup ## Read FILES (paths of documents or folders) into the folder read, with the finished model of STUDENT
	@warraq read $(FILES) --model models/$(STUDENT)/onnx --out read $(REVIEW)

serve: setup ## Read documents in the browser and over HTTP, with the finished model of STUDENT
	@warraq serve --model models/$(STUDENT)/onnx $(REVIEW)

image: ## Build the container
	docker build --tag warraq .

shell: ## A shell in the container, as yourself, with the checkout, the keys that are set, and the GPUs where there are any
	docker run --rm --interactive --tty $(if $(shell command -v nvidia-smi),--gpus all) --shm-size 8g \
	  --user "$$(id -u):$$(id -g)" $(KEYS:%=--env %) --volume "$(CURDIR)":/workspace warraq bash

clean: ## Remove what was made of STUDENT; checkpoints, pages, labels and what people wrote stay, and DVC's cache
	@for path in models/$(STUDENT)/{adapter,merged,merged.parity.json,onnx,gguf} \
	  reports/$(STUDENT)/{*/predictions.jsonl,report.html,model_card.md,review.json,plots}; do \
	  [ ! -e "$$path" ] || { echo "removing $$path"; rm -rf "$$path"; }; done
