# Every target that has a '##' comment shows up in `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.8.0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# One fuzz target may run at a time in a package, so `make fuzz` walks over them.
FUZZTIME ?= 10s
BENCH ?= .
BENCHTIME ?= 1s
ROUNDS ?= 3
LOAD ?=
TOLERANCE ?= 0.3
CURVE ?=

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/parley
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/parley ./cmd/parley

.PHONY: deps
deps: ## Install what the tests need from Debian and npm, if it is missing
	@test/deps.sh

.PHONY: test
# Most tests wait most of the time, so more of them run than there are cores. Without GORACE everything that is built with
# -race waits a second before it ends.
test: export GORACE = atexit_sleep_ms=0
test: deps fmt-check vet ## Run all tests under the race detector (installs what is missing first)
	go test -race -timeout 18m -parallel 2 ./...
	go test -run Allocat -timeout 2m ./acks ./channels ./frontends/... ./internal/rawjson

.PHONY: vet
vet:
	go vet ./...

.PHONY: fmt
fmt: ## Format the Go code
	gofmt -s -w $$(go list -f '{{.Dir}}' ./...)

.PHONY: fmt-check
fmt-check:
	@files=$$(gofmt -s -l $$(go list -f '{{.Dir}}' ./...)); \
	if [ -n "$$files" ]; then echo "not formatted; run make fmt:"; echo "$$files"; exit 1; fi

.PHONY: lint
lint: bin/golangci-lint-$(GOLANGCI_VERSION) ## Run the pinned golangci-lint
	$< run ./...

bin/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/golangci-lint $@

.PHONY: tidy-check
tidy-check:
	go mod tidy -diff

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: bench
bench: bench-programs ## Measure the broker beside a bare program in ROUNDS (3), into docs/performance.md; LOAD picks loads and only prints
	bin/rounds measure -rounds $(ROUNDS) -only '$(LOAD)'

.PHONY: bench-check
bench-check: ROUNDS = 2
bench-check: bench-programs ## Measure shortly and fail when a ratio is worse than recorded (status 1), or the machine too busy to tell (3)
	bin/rounds check -rounds $(ROUNDS) -only '$(LOAD)' -tolerance $(TOLERANCE)

.PHONY: growth
growth: bench-programs ## Measure how cost grows with subscribers, tenants, channels and messages, into docs/scaling.md; CURVE picks one
	bin/rounds growth -only '$(CURVE)'

.PHONY: bench-programs
bench-programs: build
	CGO_ENABLED=0 go build -trimpath -o bin/limit ./bench/limit
	CGO_ENABLED=0 go build -trimpath -o bin/rounds ./bench/rounds

.PHONY: microbench
microbench: ## Run the Go benchmarks that match BENCH (all)
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is called (needs the Go vulnerability database)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

.PHONY: check
check: tidy-check lint test fuzz ## Everything a change must pass before it is reviewed
