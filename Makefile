# Every task of the repository. The machine's own Node only runs npm; everything else runs with the Node in node_modules.
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

# The flag: docs/adr/0005-no-context-cells.md
NODE := node_modules/.bin/node --no-function-context-cells
BIN := node_modules/.bin
PREFIX ?= /usr/local
FORMATTED := src test tools bench
# Keeps compiled code of tools and tests between runs.
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/node-compile
NODE_TEST := $(NODE) --test --test-timeout=120000

.PHONY: help setup build bundle demo check format docs openapi native-constants test test-unit test-in-process test-faults walk soak test-bundle test-agent test-built test-e2e test-lab lab lab-shell conformance verify verify-image verify-images verify-containers bench browser install npm-package deb clean \
  check-types check-lint check-format check-imports check-programs check-native check-tidy check-spec check-docs check-unused

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

setup: ## install missing Debian and npm packages
	@sh tools/setup.sh

build: ## bundle both programs into dist/, with manual pages and completion scripts
	@$(NODE) tools/build.ts

bundle: build ## make the runtime bundle: kernel, initramfs, root file system, agent
	@bin/banger bundle build

demo: setup ## build everything, create the VM `demo` and show what it can do
	@$(NODE) tools/demo.ts

check: ## types, lint, format, imports, tidy, spec, docs, unused code; seconds
	@$(MAKE) -j2 --output-sync=target check-types check-lint check-format check-imports check-programs check-native check-tidy check-spec check-docs check-unused

check-types:
	@$(BIN)/tsc && echo "types: ok"

check-lint:
	@$(BIN)/oxlint --type-aware --deny-warnings --quiet $(FORMATTED) && echo "lint: ok"

check-format:
	@$(BIN)/oxfmt --check $(FORMATTED)

check-imports:
	@$(NODE) tools/check-imports.ts

check-programs:
	@$(NODE) tools/check-programs.ts

check-native:
	@$(NODE) tools/check-native.ts

check-tidy:
	@$(NODE) tools/check-tidy.ts

check-docs:
	@$(NODE) tools/docs/main.ts --check

check-spec:
	@$(NODE) tools/check-spec.ts

check-unused:
	@$(NODE) node_modules/knip/bin/knip.js && echo "unused: ok"

docs: ## write docs/cli.md and docs/api.md from the declarations of commands and routes
	@$(NODE) tools/docs/main.ts

openapi: ## write docs/openapi.json from the declarations of the routes
	@$(NODE) tools/openapi.ts

native-constants: ## write native/common/constants.h from what src/ says
	@$(NODE) tools/native-constants.ts

format: ## format the TypeScript
	@$(BIN)/oxfmt $(FORMATTED)

test: setup ## everything: setup, build, check, all tests, bundle, real VMs; ends with the failures and one line with the result
	@$(NODE) tools/run-stages.ts

test-unit: ## tests beside the code, of the tools and of the benches
	@$(NODE_TEST) --test-concurrency=2 'src/**/*.test.ts' 'tools/**/*.test.ts' 'test/support/**/*.test.ts' 'bench/**/*.test.ts'

test-in-process: ## CLI, daemon and fakes in one process
	@$(NODE_TEST) --test-concurrency=2 'test/in-process/**/*.test.ts'

test-faults: ## every verb, broken at every step in every way, with fakes
	@$(NODE_TEST) --test-concurrency=2 'test/faults/**/*.test.ts'

walk: ## 1 000 random verbs on 10 VMs with things going wrong, with fakes (SEED=n repeats a walk, VERBS=n sets its length)
	@$(NODE_TEST) 'test/walk/**/*.test.ts'

soak: build ## the random walk with real VMs and a real nemesis (MINUTES=10, SEED=n)
	@$(NODE) test/walk/soak.ts

# With a separate daemon, so that none is left behind; the cache is the user's.
test-bundle: build
	@directory=$$(mktemp -d) && export BANGER_CONFIG=$$directory/config.toml BANGER_STATE_DIR=$$directory/s BANGER_RUNTIME_DIR=$$directory/r BANGER_DNS_ENABLED=false BANGER_HTTP_ENABLED=false; \
	bin/banger bundle build; status=$$?; bin/banger daemon stop >/dev/null; rm -rf $$directory; exit $$status

test-agent: ## tests of the programs in C
	@$(MAKE) -C native/agent test
	@$(MAKE) -C native/forwarder test
	@$(MAKE) -C native/helper test

test-built: build ## start-up of the built programs
	@$(MAKE) -s -C native/helper
	@$(NODE_TEST) --test-concurrency=1 'test/built/**/*.test.ts'

test-e2e: build ## real VMs, two test files at a time; needs the runtime bundle
	@$(NODE) --test --test-timeout=900000 --test-concurrency=2 'test/e2e/**/*.test.ts'

lab: build ## root-path tests in a virtual machine (LAB="path…", or LAB_COMMAND="…" as root in it); needs the runtime bundle
	@$(MAKE) -C native/helper all faulty
	@$(NODE) tools/lab/main.ts $(if $(LAB_COMMAND),command,test $(LAB))

# Without vm-cycles, and without what takes hours with a real Firecracker.
LAB_OF_TEST := $(filter-out %/vm-cycles.test.ts %/e2e-on-firecracker.test.ts,$(wildcard test/lab/*.test.ts test/lab/user/*.test.ts))
test-lab: ## the part of the lab that belongs to make test: kernel objects, helper, storage, networks, packages, a life on nested KVM
	@$(MAKE) lab LAB="$(LAB_OF_TEST)"

lab-shell: build ## a root shell in that machine
	@$(NODE) tools/lab/main.ts shell

conformance: build ## test every driver against its contract, here and in the lab, and write docs/conformance.md; takes minutes
	@$(MAKE) -C native/helper all faulty
	@$(NODE) tools/conformance.ts

verify-image: build ## the whole image build with mise, opencode and tmux plugins, and a VM from it; takes minutes, needs registries
	@$(NODE) --test --test-timeout=3600000 'test/verify/image.test.ts'

verify-containers: build ## an image with Docker and Podman, and containers in a VM from it; takes many minutes, needs apt's mirror
	@$(NODE) --test --test-timeout=7200000 'test/verify/containers.test.ts'

verify-images: build ## images of twenty services and of strange layers: compare them with umoci, start and query them; takes an hour, needs root, buildah, podman and apt
	@$(NODE) --test --test-timeout=3600000 'test/verify/strange-layers.test.ts' 'test/verify/tools-layers.test.ts' 'test/verify/images-of-tools.test.ts'

verify: bundle ## a live smoke test of the whole path
	@$(NODE) --test --test-timeout=300000 'test/e2e/smoke.test.ts'

bench: build ## measure against bare QEMU, debvm, ssh and node; prints a table (BENCH="--output FILE", or names)
	@sh tools/setup.sh bench
	@$(NODE) bench/main.ts $(BENCH)

browser: build ## open a guest's web app by its name in Chromium; the screenshot is dist/browser/web-app.png
	@sh tools/setup.sh browser
	@$(NODE) --test --test-timeout=300000 'test/browser/web-app.test.ts'

install: build ## install below PREFIX (default /usr/local); DESTDIR is obeyed
	@$(MAKE) -C native/helper
	@sh tools/install.sh "$(DESTDIR)" "$(PREFIX)"

npm-package: build ## the npm package into dist/packages
	@$(MAKE) -s -C native/helper
	@$(NODE) tools/npm-package.ts dist/packages

deb: build ## a Debian package into dist/packages
	@$(MAKE) -s -C native/helper
	@sh tools/deb.sh dist/packages

clean: ## remove build results; the runtime bundle and your VMs stay
	@rm -rf dist bin/banger native/agent/build native/forwarder/build native/helper/build native/launcher/build node_modules/.cache
