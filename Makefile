# The two commands to know are `make demo` and `make test`; `make help` lists all.
# Nothing has to be installed beforehand but Go and git (and npm, for GitHub's API
# description and, where no PostgreSQL is installed, its binaries).

SHELL := /bin/sh
GO ?= go
export CGO_ENABLED ?= 0

# The packages without containers of the world: seconds, not minutes.
UNIT := ./internal/fault ./internal/image ./internal/promotion ./internal/approval ./internal/command \
	./internal/child ./internal/checklist ./internal/envrepo ./internal/overlay ./internal/manifest \
	./internal/render ./internal/render/chart ./internal/gitmirror ./internal/job ./internal/arch ./internal/store/... ./internal/intake ./internal/web ./internal/github ./app ./cmd/tagboat

.PHONY: help
help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## Build bin/tagboat.
	@$(GO) build -o bin/tagboat ./cmd/tagboat

.PHONY: demo
demo: build ## Play Tagboat on this machine. ONCE=1: print a JSON report and end. CLUSTER=ctx: use that cluster.
	@bin/tagboat demo $(if $(ONCE),--once --output json) $(if $(CLUSTER),--cluster "$(CLUSTER)")

.PHONY: check
check: format vet lint unit ## Format, vet, lint, unit tests: the everyday loop.

.PHONY: format
format:
	@files=$$(gofmt -l app cmd deploy internal migrations); test -z "$$files" || { echo "not gofmt-ed: $$files"; exit 1; }

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: lint
lint: ## staticcheck, and the test that keeps imports pointing down.
	$(GO) tool -modfile=internal/tools/lint/go.mod staticcheck ./...
	$(GO) test ./internal/arch

.PHONY: unit
unit:
	$(GO) test -short $(UNIT)

.PHONY: parts
parts: build ## Build the control plane, the registry, kustomize and helm into the cache (once, 5 to 20 minutes).
	@bin/tagboat demo --build-only

.PHONY: test
test: format vet lint parts fuzz ## Everything: unit, PostgreSQL, GitHub, registry, control plane, the stories.
	$(GO) test -timeout 70m ./...

# Without a short minimisation Go spends the time on shrinking what it found, not on
# looking further.
FUZZ := -fuzztime 10s -fuzzminimizetime 1x -run '^$$$$'

.PHONY: fuzz
fuzz: ## Search for inputs that break the splice, tagboat.yaml's reader, the rendered diff and the reader of comments, 10 s each.
	$(GO) test ./internal/overlay -fuzz FuzzBump $(FUZZ)
	$(GO) test ./internal/envrepo -fuzz FuzzParse $(FUZZ)
	$(GO) test ./internal/manifest -fuzz FuzzCompare $(FUZZ)
	$(GO) test ./internal/command -fuzz FuzzParse $(FUZZ)

.PHONY: race
race: ## The tests of what runs concurrently, under the race detector (needs a C compiler).
	CGO_ENABLED=1 $(GO) test -race ./internal/store/... ./internal/intake ./internal/github ./internal/githubsim ./internal/gitmirror ./internal/registry ./internal/web ./internal/render ./internal/child ./internal/envrepo

.PHONY: bench
bench: parts ## What a promotion costs, and rendering, editing and comparing beside the tools named.
	$(GO) test ./internal/intake ./app/demo -run '^$$$$' -bench . -benchtime 1x -timeout 30m
	$(GO) test ./internal/render/rendertest -run '^$$$$' -bench 'RenderAll' -benchtime 1x -timeout 30m
	$(GO) test ./internal/render/rendertest ./internal/overlay ./internal/envrepo ./internal/manifest ./internal/gitmirror ./internal/command \
		-run '^$$$$' -bench 'AfterBump|Affected|Plan|Discover|Compare|ID|NextCommit|CostlyComments' -timeout 30m

.PHONY: generate
generate: ## Generate the typed SQL (needs a C compiler the first time).
	CGO_ENABLED=1 $(GO) tool -modfile=internal/tools/sqlc/go.mod sqlc generate
