# petitpont: the two commands are `make demo` and `make test`. Each installs with apt what it needs.
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
GO     ?= go
BIN    ?= bin
RUN    := mmdebstrap debian-archive-keyring nftables iproute2 e2fsprogs util-linux ca-certificates gcc libc6-dev
TEST   := $(RUN) slapd openssh-client openssh-sftp-server libcap2-bin curl chromium procps
BOX    := CGO_ENABLED=0 $(GO) build -trimpath -tags netgo,osusergo -ldflags '-s -w'
# Root's tests keep their build cache apart, so that no file of root's lands in yours; /tmp may be memory (Debian 13).
ASROOT := $(SUDO) env PATH="$$PATH" TMPDIR=/var/tmp GOMODCACHE="$$($(GO) env GOMODCACHE)" $(if $(SUDO),GOCACHE=/var/cache/petitpont-go) GOFLAGS=-buildvcs=false

.PHONY: demo test lint check bench generate clean build deps-%
demo: deps-run build
	$(SUDO) bin/petitpont demo

test: deps-test build check
	$(GO) mod download
	$(GO) test -race ./site/... ./proxy/... ./sshgate/... ./runtime ./runtime/fake ./runtime/remote/... ./db/... ./app/... ./views/... ./static/...
	$(ASROOT) $(GO) test -timeout 20m ./cmd/... ./runtime/... ./e2e/...

lint:
	cd tools && $(GO) build -o ../bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint mvdan.cc/gofumpt
	bad=$$(bin/gofumpt -l $$(git ls-files '*.go' ':!*_templ.go')); test -z "$$bad" || { echo "gofumpt would change: $$bad"; exit 1; }
	bin/golangci-lint run ./...

check:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "gofmt would change: $$bad"; exit 1; }
	$(GO) vet ./...
	@before=$$(cat views/*_templ.go | cksum); $(GO) tool templ generate -path views >/dev/null 2>&1; \
	test "$$before" = "$$(cat views/*_templ.go | cksum)" || { echo "views/*_templ.go were not generated from the .templ files: commit what has just been written"; exit 1; }

bench: deps-test build
	$(ASROOT) $(GO) test -run '^$$' -bench . -benchtime 10x -count 1 ./runtime/unshare ./proxy ./e2e

generate:
	$(GO) generate ./... && $(GO) tool templ generate -path views

build: $(BIN)/petitpont-init
	$(GO) build -trimpath -o $(BIN)/petitpont ./cmd/petitpont
	$(BOX) -o $(BIN)/petitpont-box ./cmd/petitpont-box

$(BIN)/petitpont-init: $(wildcard runtime/unshare/init/*.c)
	mkdir -p $(BIN) && gcc -static -Os -s -Wall -Wextra -Werror -o $@ $^

deps-run: ; @$(call apt,$(RUN))
deps-test: ; @$(call apt,$(TEST))
apt = dpkg -s $(1) >/dev/null 2>&1 || { $(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $(1); }

clean:
	rm -rf bin
