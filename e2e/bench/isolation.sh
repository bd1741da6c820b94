#!/bin/sh
# isolation.sh: the probes of `petitpont selfcheck` under petitpont, runc, crun, systemd-nspawn, and unshare with chroot,
# each with its default configuration and the same root file system. Prints the table of BENCHMARKS.md, section Isolation.
#
# It needs root, and installs the three others with apt. crun 1.8 does not run where cgroups are half v1 and half v2.
set -eu
cd "$(dirname "$0")/../.."
for p in runc crun systemd-container; do
	dpkg -s "$p" >/dev/null 2>&1 || { apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$p"; }
done
exec env TMPDIR=/var/tmp go test -tags compare -count 1 -v -run TestCompare ./runtime/unshare/selfcheck
