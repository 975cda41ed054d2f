# make train    install, then train the example network on the embedded digits
# make test     install, then run the tests
# make judge    hold 5,000 drawn equations and their adjoints against the reference interpreter
# make lint     what the pre-commit hook and CI run
# make mutants  which small faults the tests would not notice; an hour or more
# make pages    write the recorded pages of tests/pages anew, to read what changed
# make messages  collect what is to be translated, compile the translations
# make docs     build the documentation into build/docs/html; what does not hold in it is an error
# make linkcheck  ask whether what its pages link to outside is there; needs a network
# make coexist  install beside packages of the index that have our folders' names; minutes
# make pythons  install, generate, check and train with every other Python that is found
# make lock     pin the requirements again, with hashes
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DELETE_ON_ERROR:
.PHONY: train test judge lint generated-check mutants pages messages docs linkcheck katex coexist pythons lock clean

train: $(VENV)/run.stamp
	$(BIN)/derive train examples/mnist_wide.toml --data mnist_embedded

test: $(VENV)/test.stamp
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

judge: $(VENV)/test.stamp
	CHAINRULE_EQUATIONS=5000 CHAINRULE_SEED=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_lowering_judge.py -k compute

lint: $(VENV)/test.stamp $(VENV)/src/chainrule
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

generated-check: $(VENV)/run.stamp
	$(BIN)/derive generate --check examples/*.toml

mutants: $(VENV)/mutants.stamp
	$(BIN)/python tools/mutants.py --count 200

pages: $(VENV)/test.stamp
	$(BIN)/python tests/recorded_pages.py

messages: $(VENV)/test.stamp
	$(BIN)/python tools/messages.py

SPHINX = OPENBLAS_NUM_THREADS=1 $(BIN)/sphinx-build -E -W --keep-going --quiet -d build/docs/doctrees

docs: $(VENV)/docs.stamp
	rm -rf build/docs
	$(SPHINX) -j auto docs build/docs/html
	@echo build/docs/html/index.html

linkcheck: $(VENV)/docs.stamp
	$(SPHINX) -b linkcheck docs build/docs/linkcheck

coexist:
	$(PYTHON) tools/coexist.py

pythons:
	$(PYTHON) tools/pythons.py

# ---- Environment: one folder, made once, brought up to date when a file it depends on changes ----

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; say make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/run.stamp
	$(PIP) install --require-hashes --requirement requirements/test.txt
	@touch $@

$(VENV)/docs.stamp: requirements/docs.txt $(VENV)/run.stamp
	$(PIP) install --require-hashes --requirement requirements/docs.txt
	@touch $@

# The folders as the one package that they are, for tools that read no code to find it.
$(VENV)/src/chainrule: chainrule
	rm -rf $@
	mkdir -p $@
	for part in formula derive spec present lectures codegen runtime cli; do ln -sfn ../../../$$part $@/$$part; done
	for file in chainrule/*; do ln -sf ../../../$$file $@/; done
	@touch $@

$(VENV)/mutants.stamp: requirements/mutants.txt $(VENV)/test.stamp
	$(PIP) install --require-hashes --requirement requirements/mutants.txt
	@touch $@

# ---- KaTeX, for the tests that ask it whether it accepts our LaTeX (they are skipped without it) ----

katex: tests/katex/node_modules/.package-lock.json

tests/katex/node_modules/.package-lock.json: tests/katex/package.json tests/katex/package-lock.json
	cd tests/katex && npm ci --loglevel=error
	@touch $@

# ---- Requirements: names and hashes only, from whatever index pip is set up to use ----

# One file for every Python from 3.11 on: markers say which version is for which.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --no-config --upgrade --universal \
	--python-version 3.11 --generate-hashes

lock: $(VENV)/test.stamp
	$(PIP) install 'uv>=0.9'
	$(COMPILE) pyproject.toml --group build --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --group build --group test --group lint --constraint requirements/run.txt \
		--output-file requirements/test.txt
	$(COMPILE) --group mutants --constraint requirements/test.txt --output-file requirements/mutants.txt
	$(COMPILE) --group docs --constraint requirements/test.txt --output-file requirements/docs.txt

clean:
	rm -rf $(VENV) build *.egg-info tests/katex/node_modules
