#!/bin/bash
# doors.sh [FOLDER]: the two doors beside others, in turns, in one run. The proxy beside nginx and Caddy, all three in
# front of the same site; the gate beside OpenSSH's sshd with sftp-server, each on an ext4 image of its own, both with
# OpenSSH's client as it comes. FOLDER holds the built product (bin). Prints medians of ROUNDS (5) for BENCHMARKS.md.
#
# It needs root. The others are taken from Debian's packages into a folder of this run; nothing is installed, no service
# is started, and all of it is gone at the end.
set -euo pipefail
bin=$(realpath "${1:-bin}")
rounds=${ROUNDS:-5}
instance=ppbench network=10.236.0.0/14
panel=18900 sites=18901 gate=18902 nginx=18903 caddy=18904 sshd=18905
work=$(mktemp -d /var/tmp/petitpont-doors.XXXXXX)
chmod 711 "$work"
cd "$work"
started=()
finish() {
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$work"
}
trap finish EXIT

others() {
	mkdir packages peers
	(cd packages && apt-get -qq download nginx caddy wrk libluajit-5.1-2 libluajit-5.1-common openssh-server libwrap0 2>/dev/null)
	for p in packages/*.deb; do dpkg -x "$p" peers; done
	arch=$(gcc -print-multiarch)
	export PATH="$work/peers/usr/sbin:$work/peers/usr/bin:$PATH" LD_LIBRARY_PATH="$work/peers/usr/lib/$arch:$work/peers/lib/$arch"
}

school() { # one site of a teacher's, with something to fetch
	mkdir -m 711 data
	ln -s "${PETITPONT_TEST_CACHE:-/var/tmp/petitpont-test}/templates" data/templates
	"$bin/petitpont" demo --data "$work/data" --instance $instance --network $network \
		--panel-port $panel --sites-port $sites --ssh-port $gate >demo.out 2>&1 &
	demo=$! started+=($!)
	until grep -q "is running" demo.out; do kill -0 "$demo"; sleep 0.2; done
	local at=http://localhost:$panel
	curl -fs -c jar -b jar -H "Origin: $at" -d 'login=prof&password=petitpont' $at/login
	curl -fs -c jar -b jar -H "Origin: $at" -d name=bench $at/new
	until curl -fs -o /dev/null -H "Host: bench.localhost" http://127.0.0.1:$sites/; do sleep 0.2; done
	address=$(ip neigh show dev ${instance}_t0 nud permanent | awk '/^10\./ {print $1; exit}')
	head -c 1024 /dev/zero | tr '\0' x >k1
	head -c 65536 /dev/zero | tr '\0' x >k64
	head -c 268435456 /dev/urandom >big
	mkdir small
	for i in $(seq 2000); do head -c $((i % 7 * 1000 + 500)) /dev/urandom >small/$i; done
	printf '#!/bin/sh\necho petitpont\n' >askpass
	chmod 755 askpass
	export SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force
	printf 'put k1\nput k64\n' | ours
}

ours() { sftp -q -F none -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR -oBatchMode=no -P $gate -b - prof+bench@localhost >/dev/null; }
theirs() { sftp -q -F none -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR -i "$work/id" -P $sshd -b - "root@localhost:$work/remote" >/dev/null; }

proxies() {
	cat >nginx.conf <<-END
		worker_processes 2; daemon off; pid $work/nginx.pid; error_log $work/nginx.log;
		events { worker_connections 1024; }
		http {
			access_log off; proxy_temp_path $work/t1; client_body_temp_path $work/t2; fastcgi_temp_path $work/t3;
			uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
			upstream site { server $address:80; keepalive 64; }
			server {
				listen 127.0.0.1:$nginx;
				location / {
					proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";
					proxy_set_header Host \$http_host; proxy_set_header X-Forwarded-For \$remote_addr;
				}
			}
		}
	END
	printf '{\n admin off\n auto_https off\n}\nhttp://bench.localhost:%s {\n bind 127.0.0.1\n reverse_proxy %s:80\n}\n' $caddy "$address" >Caddyfile
	command nginx -c "$work/nginx.conf" &
	started+=($!)
	HOME=$work command caddy run --config Caddyfile --adapter caddyfile 2>caddy.log &
	started+=($!)
	sleep 2
	declare -gA process=([nginx]="$(pgrep -d ' ' -P "${started[1]}")" [caddy]="${started[2]}" [petitpont]="$(pgrep -P "$demo" -f ' serve ')")
}

sshd() { # with a disk like a site's, and the account it drops its rights to
	ssh-keygen -q -t ed25519 -N '' -f id
	ssh-keygen -q -t ed25519 -N '' -f key
	truncate -s 1G disk.img
	mkfs.ext4 -q -F disk.img
	mkdir remote
	mkdir -p /run/sshd
	(cat /etc/passwd; grep -q ^sshd: /etc/passwd || echo 'sshd:x:61180:65534::/run/sshd:/usr/sbin/nologin') >passwd
	printf '%s\n' "Port $sshd" "ListenAddress localhost" "HostKey $work/key" "PidFile none" "AuthorizedKeysFile $work/id.pub" \
		"StrictModes no" "UsePAM no" "PermitRootLogin yes" "Subsystem sftp /usr/lib/openssh/sftp-server" >sshd_config
	unshare -m --propagation private sh -ec "mount --bind passwd /etc/passwd; mount -o loop disk.img remote
		exec $work/peers/usr/sbin/sshd -D -f $work/sshd_config -E $work/sshd.log" &
	started+=($!)
	until echo pwd | theirs 2>/dev/null; do sleep 0.2; done
}

note() { echo "$2" >>"r.$1"; }
median() { sort -n "r.$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
cpu() { local p s=0; for p in $1; do s=$((s + $(awk '{print $14 + $15}' "/proc/$p/stat"))); done; echo $s; }
timed() { local name=$1; shift; local from=$EPOCHREALTIME; "$@"; note "$name" "$(echo "$EPOCHREALTIME $from" | awk '{printf "%.2f", $1 - $2}')"; }

request() { # PROXY PORT FILE: requests a second, and processor seconds of the proxy for 100,000
	local before out
	before=$(cpu "${process[$1]}")
	out=$(wrk -t1 -c32 -d5 -H "Host: bench.localhost:$2" "http://127.0.0.1:$2/$3")
	if grep -q "Non-2xx" <<<"$out"; then echo "$1: $out" >&2; exit 1; fi
	note "rate.$1.$3" "$(awk '/Requests.sec/ {print int($2)}' <<<"$out")"
	note "cpu.$1.$3" "$(awk -v c=$(($(cpu "${process[$1]}") - before)) '/requests in/ {printf "%.2f", c * 1000 / $1}' <<<"$out")"
}

files() { # ours or theirs
	timed "$1.put" "$1" <<<'put big'
	timed "$1.get" "$1" <<<'get big back'
	cmp big back
	timed "$1.put2000" "$1" <<<'put -r small'
	timed "$1.get2000" "$1" <<<'get -r small backs'
	diff -r small backs
	"$1" <<<$'rm small/*\nrmdir small\nrm big'
	rm -r back backs
}

others
school
proxies
sshd
for _ in $(seq "$rounds"); do
	for file in k1 k64; do
		request nginx $nginx $file
		request caddy $caddy $file
		request petitpont $sites $file
	done
	files ours
	files theirs
done
echo "| proxy | 1 KiB: requests/s | processor s per 100,000 | 64 KiB: requests/s | processor s per 100,000 |"
echo "|---|---|---|---|---|"
for p in nginx caddy petitpont; do
	echo "| $p | $(median rate.$p.k1) | $(median cpu.$p.k1) | $(median rate.$p.k64) | $(median cpu.$p.k64) |"
done
echo
echo "| seconds | gate | sshd |"
echo "|---|---|---|"
for f in put get put2000 get2000; do echo "| $f | $(median ours.$f) | $(median theirs.$f) |"; done
