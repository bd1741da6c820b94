package unshare

import "testing"

// TestTheLanguagesStartTheirHelpers runs what each language does beside answering a page: workers, pipes, locks and
// files of its own. The list of system calls lets it through, and nothing complains on the way.
func TestTheLanguagesStartTheirHelpers(t *testing.T) {
	r := open(t)
	s := spec(t, 1)
	r.running(t, s)
	for name, c := range map[string]struct{ script, want string }{
		"python": {`cd /tmp && cat > p.py <<'P'
import asyncio, concurrent.futures, multiprocessing as m, sqlite3, subprocess, tempfile, threading
from multiprocessing import shared_memory
def square(x): return x * x
async def say():
    p = await asyncio.create_subprocess_exec("echo", "async", stdout=subprocess.PIPE)
    return (await p.communicate())[0].decode().strip()
if __name__ == "__main__":
    with m.get_context("fork").Pool(2) as pool: print(pool.map(square, [1, 2, 3]))
    with concurrent.futures.ProcessPoolExecutor(2, m.get_context("spawn")) as pool: print(list(pool.map(square, [4])))
    q = m.Queue(); q.put("queue"); print(q.get())
    s = shared_memory.SharedMemory(create=True, size=100); s.buf[0] = 7; s.close(); s.unlink()
    print(asyncio.run(say()))
    with tempfile.NamedTemporaryFile() as f:
        d = sqlite3.connect(f.name); d.execute("pragma journal_mode=wal"); d.execute("create table a(b)"); d.execute("insert into a values (5)")
        print(d.execute("select b from a").fetchone()[0]); d.close()
P
python3 -W error p.py`, "[1, 4, 9]\n[16]\nqueue\nasync\n5\n"},
		"node": {`cd /tmp && cat > n.js <<'N'
const cluster = require("cluster"), { Worker } = require("worker_threads"), { execFileSync } = require("child_process");
if (!cluster.isPrimary) process.exit(0);
cluster.fork().on("exit", code => {
  console.log("cluster", code);
  new Worker("require('fs').writeFileSync('/tmp/n.txt', 'worker')", { eval: true }).on("exit", () => {
    console.log(require("fs").readFileSync("/tmp/n.txt", "utf8"), execFileSync("echo", ["child"]).toString().trim());
    const server = require("net").createServer(c => c.end("tcp")).listen(0, "127.0.0.1", () =>
      require("net").connect(server.address().port, "127.0.0.1").on("data", b => { console.log(String(b)); server.close(); }));
  });
});
N
node n.js`, "cluster 0\nworker child\ntcp\n"},
		"php": {`cd /tmp && cat > p.php <<'P'
<?php
$p = proc_open(['echo', 'process'], [1 => ['pipe', 'w']], $pipes); echo stream_get_contents($pipes[1]); proc_close($p);
echo shell_exec('echo shell');
$f = fopen('/tmp/lock', 'c'); echo flock($f, LOCK_EX) ? "lock\n" : "none\n";
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); fwrite($a, "pair\n"); echo fgets($b);
$z = gzencode(str_repeat('x', 1000)); echo strlen(gzdecode($z)), "\n";
P
php -d display_errors=1 -d error_reporting=-1 p.php`, "process\nshell\nlock\npair\n1000\n"},
		"rsync": {`mkdir -p /tmp/a && seq 5000 > /tmp/a/n && rsync -a /tmp/a/ /tmp/b && cmp /tmp/a/n /tmp/b/n && echo same`, "same\n"},
		"perl":  {`perl -e 'pipe(R, W); if (!fork) { print W "said\n"; exit } wait; close W; print <R>'`, "said\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if out := r.sh(t, s.ID, c.script, false); out != c.want {
				t.Errorf("it said %q, want %q", out, c.want)
			}
		})
	}
}
