# petitpont: the two commands are `make demo` and `make test`. Each installs with apt what it needs.
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
GO     ?= go
BIN    ?= bin
# Where sudo, su and cron leave these out: Go's usual place, the system's tools, and a home for Go's cache.
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin
export HOME ?= $(shell getent passwd $$(id -u) | cut -d: -f6)
# git tells root nothing about a clone of yours.
export GOFLAGS := -buildvcs=false $(GOFLAGS)
RUN    := mmdebstrap debian-archive-keyring nftables iproute2 e2fsprogs util-linux ca-certificates gcc libc6-dev
TEST   := $(RUN) git rsync slapd openssh-client openssh-sftp-server libcap2-bin curl chromium procps
BOX    := CGO_ENABLED=0 $(GO) build -trimpath -tags netgo,osusergo -ldflags '-s -w'
# Root's tests keep their build cache apart, so that no file of root's lands in yours; /tmp may be memory (Debian 13).
ASROOT := $(SUDO) env PATH="$$PATH" TMPDIR=/var/tmp GOMODCACHE="$$($(GO) env GOMODCACHE)" $(if $(SUDO),GOCACHE=/var/cache/petitpont-go) GOFLAGS="$$GOFLAGS"

.NOTPARALLEL:
.PHONY: demo test lint check bench generate clean build tools deps-%
demo: deps-run build
	$(SUDO) bin/petitpont demo

test: deps-test build check
	$(GO) mod download
	$(GO) test -race -timeout 30m ./site/... ./proxy/... ./runtime ./runtime/fake ./app/... ./views/... ./static/...
	$(ASROOT) $(GO) test -race -timeout 30m ./db/... ./sshgate/... ./runtime/remote/...
	$(ASROOT) $(GO) test -timeout 30m ./cmd/... ./runtime/... ./e2e/...

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
	$(ASROOT) $(GO) test -run '^$$' -bench . -benchtime 10x -count 1 ./runtime/unshare ./proxy ./sshgate ./e2e
	$(SUDO) e2e/bench/doors.sh $(BIN)

generate:
	$(GO) generate ./... && $(GO) tool templ generate -path views

build: $(BIN)/petitpont-init
	umask 022 && $(GO) build -trimpath -o $(BIN)/petitpont ./cmd/petitpont
	$(BOX) -o $(BIN)/petitpont-box ./cmd/petitpont-box

$(BIN)/petitpont-init: $(wildcard runtime/unshare/init/*.c)
	mkdir -p $(BIN) && gcc -static -Os -s -Wall -Wextra -Werror -o $@ $^

deps-run: tools ; @$(call apt,$(RUN))
deps-test: tools ; @$(call apt,$(TEST))
# slapd without a configuration: the tests start their own, and no directory shall listen on your machine.
apt = new=; for p in $(1); do dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || new="$$new $$p"; done; \
	test -z "$$new" || { echo "Installing with apt:$$new"; echo slapd slapd/no_configuration boolean true | $(SUDO) debconf-set-selections; \
	$(SUDO) apt-get -qq update; said=$$($(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
	install -y --no-install-recommends $$new 2>&1) || { echo "$$said"; echo "apt cannot install these:$$new"; exit 1; }; }

# Before anything is changed: what only you can install.
tools:
	@command -v apt-get >/dev/null || { echo "This needs Debian 12 or 13: there is no apt here."; exit 1; }
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 in /usr/local/go, or put it into PATH."; exit 1; }
	@$(GO) list -m >/dev/null || { echo "Go 1.26 is needed; this is $$($(GO) version)."; exit 1; }
	@test -z "$(SUDO)" || command -v sudo >/dev/null || { echo "Making containers needs root: run make as root, or install sudo."; exit 1; }
	@test -z "$(SUDO)" || sudo -n true 2>/dev/null || sudo -v || { echo "Making containers needs root, and sudo does not let $$(id -un) become root."; exit 1; }

clean:
	rm -rf bin
