# Dalio. `make help` lists what there is; `make demo` is the place to start.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := build/bin
# Variants of the data plane without one of its cures, for `make demo BREAK=...`.
BREAKS := gate
CLANG := clang-19
BPF_CFLAGS := -O2 -g -Wall -Werror -mcpu=v3 -target bpf -idirafter /usr/include/$(shell uname -m)-linux-gnu

.PHONY: help
help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## builds the commands into build/bin
	@scripts/setup run
	@mkdir -p $(BIN)
	go build -trimpath -o $(BIN)/ ./impl/cmd/... ./checker/cmd/...

# make answers every failure of a recipe with its own status 2. The demo's status
# says more (1: not linearizable), and in question mode make hands it on: there
# only lines with a + run, and a failure of theirs ends make with status 1.
ifeq ($(MAKECMDGOALS),demo)
MAKEFLAGS += -q
endif
PLAIN_MAKE := MAKEFLAGS= $(MAKE) --no-print-directory

.PHONY: demo
demo: ## the main job in about a minute: real packets, faults, audit (BREAK=gate: without the gate)
ifdef BREAK
	+@$(if $(filter $(BREAK),$(BREAKS)),,echo "make demo: BREAK=$(BREAK) is not known; there is: $(BREAKS)" >&2; exit 2)
	+@scripts/setup test
	+@$(PLAIN_MAKE) build build/break/$(BREAK).o
	+@$(BIN)/demo --dir build/demo --object build/break/$(BREAK).o
else
	+@$(PLAIN_MAKE) build
	+@$(BIN)/demo --dir build/demo
endif

build/break/gate.o: $(wildcard bpf/*.c bpf/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -DDALIO_WITHOUT_GATE -c bpf/coordinator.bpf.c -o $@

.PHONY: test
test: ## every check of a change
	@scripts/setup conform
	scripts/test

.PHONY: go-test
go-test: ## the Go tests; those of the data plane and the network need root
	@scripts/setup test
	scripts/gotest

FUZZTIME := 60s
.PHONY: fuzz
fuzz: ## every fuzz target, FUZZTIME=60s each
	@scripts/setup test
	scripts/fuzz each $(FUZZTIME)

PACKETS := 1e7
.PHONY: fuzz-packets
fuzz-packets: build ## packets into program and model, a million a second (PACKETS=1e9 SEED=1); goes on where it was stopped
	@scripts/setup test
	$(BIN)/fuzz-packets --packets $(PACKETS) $(if $(SEED),--seed $(SEED)) $(if $(filter 1e9,$(PACKETS)),-evidence README.md)

.PHONY: spec
spec: ## TLC on the default models, with pinned state counts
	@scripts/setup test
	go run ./spec/tlc spec

.PHONY: spec-full
spec-full: ## TLC on the large models too
	@scripts/setup test
	go run ./spec/tlc -full spec

.PHONY: must-fail
must-fail: ## every configuration that lacks a cure, each of which TLC must refute
	@scripts/setup test
	go run ./spec/tlc must-fail

# SHORT=1 compares the steps of small models only, in which every action is taken.
.PHONY: proof
proof: ## z3: the protocol is linearizable for any number of replicas, sessions and keys; what is proved is the specification
	@scripts/setup test
	go run ./spec/proof $(if $(SHORT),-short,-evidence README.md)

.PHONY: conform
conform: ## every step of the specification on the Go model, every pair of state and packet on the bytecode
	@scripts/setup conform
	go run ./checker/cmd/conform --evidence README.md

.PHONY: cures
cures: ## takes each cure out of the code, one at a time: a named test must fail (ONLY=regexp)
	@scripts/setup test
	go run ./checker/cures $(if $(ONLY),-only '$(ONLY)')

# SHORT=1 is what make test does. The clients of the runs with failures are few: all that
# they cause is recorded, and what is checked there is the membership.
TRACED := $(if $(SHORT),1200,8000)
CHAOS_TRACED := $(BIN)/chaos --events --rate 200 --clients 8 --keys 20 --min-served 0
.PHONY: trace
ifdef BREAK
trace: build build/break/$(BREAK)-events.o
	@scripts/setup test
	$(BIN)/demo --dir build/trace/without-$(BREAK) --operations $(TRACED) --events --object build/break/$(BREAK)-events.o || [ $$? -eq 1 ]
	go run ./spec/trace -dir build/trace/without-$(BREAK) build/trace/without-$(BREAK)/shard/events
else
trace: build ## runs recorded event by event, on a bad network and with failures: TLC says whether they are behaviours of the specification (BREAK=gate: one without the gate)
	@scripts/setup test
	$(BIN)/demo --dir build/trace/demo --operations $(TRACED) --events
	$(BIN)/demo --dir build/trace/bad --operations $(TRACED) --events --seed 2 --loss 0.03 --duplicate 0.05 --delay 0.05 --reorder 0.05
ifdef SHORT
	$(CHAOS_TRACED) --dir build/trace/chaos --seed 1 --duration 5s --only '^(replica-killed|planned-failover|control-plane-killed|killed-at-fenced)$$' >build/trace/chaos.log || { cat build/trace/chaos.log; exit 1; }
	go run ./spec/trace -least 10000 -failures build/trace/chaos/shard/events -least-steps 30 build/trace/demo/shard/events build/trace/bad/shard/events
else
	$(CHAOS_TRACED) --dir build/trace/chaos --seed 1 --duration 25s
	$(CHAOS_TRACED) --dir build/trace/chaos2 --seed 2 --duration 25s
	go run ./spec/trace -least 100000 -evidence README.md -failures build/trace/chaos/shard/events,build/trace/chaos2/shard/events -least-steps 100 build/trace/demo/shard/events build/trace/bad/shard/events
endif
endif

build/break/gate-events.o: $(wildcard bpf/*.c bpf/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -DDALIO_WITHOUT_GATE -DDALIO_EVENTS -c bpf/coordinator.bpf.c -o $@

.PHONY: coverage
coverage: ## which blocks and branches of the bytecode the tests take; the rest must be listed with the reason
	@scripts/setup test
	go run ./checker/coverage -evidence README.md

.PHONY: mutate
mutate: ## small mistakes, many of them, in spec, bytecode, Go and C: the checks must notice (ONLY=spec)
	@scripts/setup test
	go run ./checker/mutate $(if $(ONLY),-only '$(ONLY)') -evidence README.md

.PHONY: planted
planted: ## plants a mistake of one character in each of spec, Go model, C code and control plane: a check must notice, by name
	@scripts/setup test
	go run ./checker/mutate -planted

# DURATION and SEED are as for build/bin/chaos; SEED is drawn from the time if not given.
# DURABLE=1 gives the replicas disks, and breaks those and the whole shard's power too.
DURATION ?= 1m
.PHONY: chaos
chaos: ## breaks a whole shard in every way while clients use it, and audits (DURATION=10m SEED=7 DURABLE=1)
	@$(MAKE) --no-print-directory build
	$(BIN)/chaos --dir build/chaos --duration $(DURATION) $(if $(SEED),--seed $(SEED)) $(if $(DURABLE),--durable)

# SEEDS is how many; SIM has further flags for build/bin/sim, such as SIM="--first 1000".
SEEDS ?= 1000
SIM ?=
.PHONY: sim
sim: ## deterministic simulations of a whole shard, the bytecode as coordinator, audited (SEEDS=100000)
	@$(MAKE) --no-print-directory build
	$(BIN)/sim --dir build/sim --seeds $(SEEDS) $(SIM)

# RECOVERY has flags for build/bin/recovery, such as RECOVERY="--parts host-lost --hosts 10".
RECOVERY ?=
.PHONY: recovery
recovery: ## how quickly a shard recovers from failures under load, held to what is promised, and audited
	@$(MAKE) --no-print-directory build
	$(BIN)/recovery --dir build/recovery $(RECOVERY)

# BENCH has flags for build/bin/bench, such as BENCH="--balancers=false", and MORE what
# bench-full adds.
BENCH ?=
MORE :=
.PHONY: bench
bench: build ## the coordinator alone, and whole systems by their coordinator, against one in C and against bounds, as ratios
	@scripts/setup test
	$(BIN)/bench --dir build/bench $(MORE) $(BENCH)

# GROWTH has flags for build/bin/growth, such as GROWTH="--only replicas --rounds 3",
# LATENCY for build/bin/latency, such as LATENCY="--rounds 2 --window 500ms", and SYSTEMS
# for build/bin/systems, such as SYSTEMS="--only dalio,etcd --rounds 3".
GROWTH ?=
LATENCY ?=
SYSTEMS ?=
.PHONY: bench-full
bench-full: MORE := --events --whole-mixes a,b,c,d
bench-full: bench ## and how cost and memory grow; latency by the rate offered; and whole stores on the same operations: Dalio, etcd and Redis, in memory and on disk
	@scripts/setup test
	$(BIN)/growth --dir build/bench $(GROWTH)
	$(BIN)/latency --dir build/bench $(LATENCY)
	$(BIN)/systems --dir build/bench $(SYSTEMS)

.PHONY: costs
costs: ## measures each handler of the coordinator's program, and writes the table that make test holds it to
	@scripts/setup test
	go test -count=1 -v -run '^TestCosts$$' ./bpf -costs

.PHONY: audit-large
audit-large: build ## the audit of a million operations, of ten million with versions, and of both with a stale read
	go run ./checker/linear/internal/trial -evidence README.md

.PHONY: generate
generate: ## rebuilds the committed BPF objects and their bindings
	@scripts/setup test
	go generate ./...

.PHONY: lint
lint: ## formatting, vet, staticcheck, import directions
	@scripts/setup test
	scripts/lint

.PHONY: clean
clean: ## removes build/
	rm -rf build
