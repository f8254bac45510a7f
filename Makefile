# Two commands for a newcomer: `make demo` and `make test`. The rest is for whoever works on netglot.
PYTHON ?= python3
VENV := .venv
DEMO := .venv-demo
JOBS ?= 2
SHARED := $(abspath ../shared)

.PHONY: demo test lint unit oracles toolchains peers

demo: $(DEMO)/.ready
	$(DEMO)/bin/python examples/digits/demo.py

test: $(VENV)/.ready oracles toolchains lint unit

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check netglot tests benchmarks examples
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

unit: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest -n $(JOBS)

# The real Caffe, where the project's shared folder has the script that unpacks it; elsewhere its tests skip.
oracles:
	@for name in caffe mxnet; do setup=$(SHARED)/oracles/$$name-setup; \
	if [ -x $$setup ]; then $$setup || exit 1; else echo "no shared oracle of $$name: its tests skip"; fi; done

# The compilers and the emulator that tests/test_cpp_toolchains.py holds the C++ backend against, as Debian calls them.
TOOLCHAINS := g++ cmake binutils clang libclang-rt-14-dev g++-aarch64-linux-gnu qemu-user \
	gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib
toolchains:
	@command -v apt-get >/dev/null || { echo "no apt-get: tests of compilers that are missing skip"; exit 0; }; \
	missing=; for name in $(TOOLCHAINS); do \
	dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$name"; done; \
	[ -n "$$missing" ] || exit 0; \
	[ "$$(id -u)" = 0 ] || { echo "missing, their tests skip (only root can install):$$missing"; exit 0; }; \
	echo "installing:$$missing"; apt-get update -qq; \
	for name in $$missing; do \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$name >/dev/null 2>&1 \
	|| echo "can't install $$name: its tests skip"; done

$(DEMO)/.ready: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check .
	touch $@

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	# Keras 2, an oracle: what it says it needs is all of tensorflow, whose CPU part is there already.
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps tf_keras==2.21.0
	# Networks to convert; what they say they need is a torch with CUDA.
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps torchvision==0.28.0 timm==1.0.31
	touch $@

# The converters that benchmarks/pytorch_convert.py is timed beside; they pin versions of their own.
peers: .venv-peers/.ready
.venv-peers/.ready:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-peers/bin/pip install --quiet --disable-pip-version-check litert-torch==0.10.0 onnxscript coremltools==9.0
	touch $@
