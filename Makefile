# Everything that is done to this repository is done through here; .ci/run calls nothing else.
# `make help` lists the targets.

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Plain builds need no C compiler; only the race detector does, and says so below.
export CGO_ENABLED := 0
export PATH := $(CURDIR)/.cache/node/bin:$(PATH):/usr/sbin:/sbin
# A Node.js from the npm registry trusts its own list of authorities only; Debian's trusts the system's as well.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
  export NODE_EXTRA_CA_CERTS ?= /etc/ssl/certs/ca-certificates.crt
endif

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -buildid= -X main.version=$(VERSION)
BUILD     := go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

# Our packages, and not those that npm packages bring along below web/node_modules. bench is a module of its own, because of the
# peers that it holds us against.
PACKAGES := ./cmd/... ./internal/... ./examples/... ./web

# What the steps depend on (git path specs, see tools/once.sh).
GO_INPUTS  := go.mod go.sum cmd internal bench testdata examples docs README.md 'web/*.go' web/dist
WEB_INPUTS := web testdata
ONCE       := tools/once.sh

# make test GOTESTFLAGS=-short, make bench BENCH=Append COUNT=10, make fuzz FUZZTIME=10m
GOTESTFLAGS ?=
BENCH       ?= .
COUNT       ?= 1
FUZZTIME    ?= 20s
ARGS        ?=

##@ Use

.PHONY: all
all: fmt lint test build ## what to run before a commit: fmt, lint, test, build

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build and serve the simulated market (ARGS='--feed …' for more); needs only Go
	exec bin/tapedeck serve $(ARGS)

.PHONY: build
build: ## build bin/tapedeck
	@$(BUILD) -o bin/tapedeck ./cmd/tapedeck

##@ Check

.PHONY: test
test: test-go test-web e2e ## every test: Go with the race detector, the page's, and both in a browser

.PHONY: lint
lint: lint-go lint-tidy lint-dead lint-build ## linters, module files, dead code, builds without cgo

.PHONY: fmt
fmt: .cache/bin/golangci-lint ## format the Go code
	.cache/bin/golangci-lint fmt $(PACKAGES)

.PHONY: bench
bench: ## run the benchmarks (BENCH=pattern COUNT=10 for benchstat)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PACKAGES)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	tools/fuzz.sh $(FUZZTIME)

.PHONY: test-s3
test-s3: ## the archive against a real S3 server, which is built the first time
	tools/s3.sh

##@ Make

.PHONY: web
web: .cache/npm.stamp ## rebuild web/dist from web/src (needs Node.js)
	cd web && npm run build

.PHONY: release
release: ## reproducible binaries for every platform, with their checksums, in dist/
	rm -rf dist && mkdir dist
	for platform in $(PLATFORMS); do \
	  os=$${platform%/*} arch=$${platform#*/} suffix=; \
	  [ "$$os" != windows ] || suffix=.exe; \
	  echo "dist/tapedeck_$(VERSION)_$${os}_$${arch}$$suffix"; \
	  GOOS=$$os GOARCH=$$arch $(BUILD) -o "dist/tapedeck_$(VERSION)_$${os}_$${arch}$$suffix" ./cmd/tapedeck; \
	done
	cd dist && { sha256sum tapedeck_* 2>/dev/null || shasum -a 256 tapedeck_*; } >SHA256SUMS

.PHONY: clean
clean: ## remove what was built; the tape and history in the data folder are not touched
	rm -rf bin dist .cache web/node_modules

# ---- The steps of test ----

.PHONY: vet
vet:
	@$(ONCE) vet $(GO_INPUTS) -- bash -c 'go vet $(PACKAGES) && go -C bench vet ./...'

# Without a C compiler there is no race detector; the tests still run, and the step says what is missing.
#
# The detector does not look into SQLite, which is translated from C, keeps its memory to itself, and takes seven times as long when each of its
# loads is watched. What calls it is watched as ever. Only that one package is left out: it has no generic code. The others of modernc.org have, such as
# that of sync.Map, and the linker keeps one copy for the whole program: one that is not watched, and races are seen where there are none.
.PHONY: test-go
test-go: deps-go vet
	@race='-race -gcflags=modernc.org/sqlite/lib=-race=0'; cgo=1; \
	command -v gcc >/dev/null || command -v cc >/dev/null || \
	  { race=; cgo=0; echo '== go-test: no C compiler, so without the race detector' >&2; }; \
	CGO_ENABLED=$$cgo $(ONCE) go-test $(GO_INPUTS) -- \
	  go test $$race -vet=off -shuffle=on -timeout 15m $(GOTESTFLAGS) $(PACKAGES)

.PHONY: deps-go
deps-go:
	@tools/deps.sh go

.PHONY: deps-web
deps-web:
	@tools/deps.sh web

# have-web runs its argument where Node.js and npm are there, and says that it is skipped where they are
# not. Under CI=true deps.sh has failed before that.
define have-web
if command -v node >/dev/null && command -v npm >/dev/null; then $(1); else \
  echo '== skipped $@: no Node.js and npm here' >&2; fi
endef

.PHONY: test-web
test-web: deps-web
	@$(call have-web,$(MAKE) --no-print-directory web-checks)

.PHONY: web-checks
web-checks: .cache/npm.stamp
	@$(ONCE) web-unit $(WEB_INPUTS) -- npm --prefix web test
	@$(ONCE) web-lint $(WEB_INPUTS) -- npm --prefix web run lint
	@$(ONCE) web-check $(WEB_INPUTS) -- npm --prefix web run check
	@$(ONCE) web-fresh $(WEB_INPUTS) -- tools/fresh.sh

.PHONY: e2e
e2e: deps-web build ## only the browser tests
	@$(call have-web,$(MAKE) --no-print-directory web-e2e)

.PHONY: web-e2e
web-e2e: .cache/npm.stamp
	@TAPEDECK_BIN=$(CURDIR)/bin/tapedeck $(ONCE) web-e2e $(WEB_INPUTS) $(GO_INPUTS) -- npm --prefix web run e2e

.cache/npm.stamp: web/package.json web/package-lock.json
	@mkdir -p .cache
	cd web && npm ci --no-audit --no-fund
	@touch $@

# ---- The steps of lint ----

.PHONY: lint-go
lint-go: .cache/bin/golangci-lint
	@$(ONCE) golangci-lint $(GO_INPUTS) .golangci.yml tools -- .cache/bin/golangci-lint run $(PACKAGES)

.PHONY: lint-tidy
lint-tidy:
	@$(ONCE) mod-tidy $(GO_INPUTS) tools -- bash -c 'go mod tidy -diff && go mod verify && go -C tools mod tidy -diff && go -C bench mod tidy -diff'

# deadcode exits with 0 whatever it finds, so its output is the verdict.
.PHONY: lint-dead
lint-dead: .cache/bin/deadcode
	@$(ONCE) deadcode $(GO_INPUTS) tools -- \
	  bash -c 'found=$$(.cache/bin/deadcode -test $(PACKAGES)) && { [ -z "$$found" ] || { echo "$$found"; exit 1; }; }'

# The packages that do arithmetic are also checked where an int has 32 bits.
.PHONY: lint-build
lint-build:
	@$(ONCE) build-nocgo $(GO_INPUTS) -- go build -o /dev/null $(PACKAGES)
	@GOARCH=386 $(ONCE) vet-386 $(GO_INPUTS) -- go vet ./internal/market/... ./internal/candle/... ./internal/tape/...

.cache/bin/golangci-lint .cache/bin/deadcode: tools/go.mod tools/go.sum
	@mkdir -p $(@D)
	go build -C tools -o $(CURDIR)/.cache/bin/ \
	  github.com/golangci/golangci-lint/v2/cmd/golangci-lint golang.org/x/tools/cmd/deadcode
	@touch .cache/bin/golangci-lint .cache/bin/deadcode
