# Two commands for a fresh machine with python3 (3.11), make and git: `make demo` and `make test`.
# Budgets: what each suite may take on two cores once its environments are built, in seconds.
BUDGET_UNIT = 600
BUDGET_WORKFLOW = 1500
BUDGET_SLURM = 1200
BUDGET_BROWSER = 300

UV = .tools/bin/uv
PYTHON = .venv/bin/python
SNAKEMAKE = .venv/bin/snakemake
CORES ?= 2

.PHONY: demo test test-unit test-workflow test-slurm slurm lint bench envs lock-envs config-docs demo-clip demo-pictures clean rerun-docs test-browser chromium
.DELETE_ON_ERROR:

demo: .venv/driver ## edit the bundled clip: out/ball.mp4
	$(SNAKEMAKE) --cores $(CORES)
	@echo "The edited clip: out/ball.mp4, beside its source: report/ball/index.html"

# On a cluster most of the time is waiting, so that goes beside the others.
test: test-unit ## every test
	$(MAKE) --jobs 2 --output-sync=target test-slurm test-workflow
	$(MAKE) test-browser

# The library is tested in the environments that its stages run in, so a missing package cannot hide.
test-unit: .venv/dev .tools/pytest envs
	timeout $(BUDGET_UNIT) $(PYTHON) tests/unit/run.py -- -n 2

# Environments first: two tests at a time would both build them.
test-workflow: .venv/dev envs
	timeout $(BUDGET_WORKFLOW) $(PYTHON) -m pytest -n 2 tests/workflow

# On a Slurm of its own, from Debian's packages, of which nothing is installed; skipped where that cannot be.
test-slurm: .venv/dev .slurm/venv/driver envs
	timeout --signal INT --kill-after 60 $(BUDGET_SLURM) $(PYTHON) -m pytest tests/slurm

# The reports' pages in Debian's browser; without one, they are skipped and say so.
test-browser: .venv/dev envs chromium
	timeout $(BUDGET_BROWSER) $(PYTHON) -m pytest tests/browser

chromium:
	command -v chromium || { apt-get update -qq && apt-get install -qq --no-install-recommends chromium; } >/dev/null || true

lint: .venv/dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	.venv/bin/snakefmt --check Snakefile rules
	$(PYTHON) tests/lint.py

bench: .venv/dev ## every benchmark, into bench/results.json
	$(PYTHON) bench/all.py $(ARGS)

bench-%: .venv/dev
	$(PYTHON) bench/$*.py $(ARGS)

envs: .venv/driver ## build every stage's environment
	$(SNAKEMAKE) --cores $(CORES) environments

slurm: .venv/driver ## what profiles/slurm needs (docs/cluster.md)
	$(UV) sync --quiet --frozen --no-dev --inexact --extra slurm

lock-envs: .venv/driver ## pin every stage's packages again; ARGS=--keep upgrades none
	$(PYTHON) envs/lock.py $(ARGS)

config-docs: .venv/driver ## config/README.md and config/schema.json
	$(PYTHON) config/generate.py

rerun-docs: .venv/driver ## docs/rerun.md and README's table of what re-runs
	$(PYTHON) docs/rerun.py

demo-clip: .venv/dev ## render the bundled clip again
	$(PYTHON) demo/world.py --seed 903385 --only 1 --out demo/clip.mp4 --masks demo/masks.mkv

demo-pictures: .venv/dev demo ## docs/demo.png and docs/demo.webp, of what the demo makes now
	$(PYTHON) demo/picture.py .

# --- bootstrap: uv by pip into the project, everything else by uv -----------------------------------------------------

$(UV):
	python3 -m pip install --quiet --disable-pip-version-check --target .tools uv

.venv/driver: pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --compile-bytecode --no-dev --inexact
	touch $@

.venv/dev: pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --compile-bytecode
	touch $@ .venv/driver

.tools/pytest: uv.lock | $(UV)
	$(UV) pip install --quiet --python python3 --target $@ pytest pytest-xdist hypothesis
	touch $@

# Apart from the driver's, which would ask Slurm for its configuration at every start.
.slurm/venv/driver: pyproject.toml uv.lock | $(UV)
	UV_PROJECT_ENVIRONMENT=.slurm/venv $(UV) sync --quiet --frozen --no-dev --extra slurm
	touch $@

clean: ## everything that was installed, and no result
	rm -rf .venv .tools .slurm .snakemake/conda
