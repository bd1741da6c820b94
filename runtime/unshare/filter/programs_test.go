package filter

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What an owner does in a shell goes through the list without a word of complaint: a call that is refused without need
// shows as an error, or as a warning that nobody can explain.
func TestUsualProgramsDoNotComplain(t *testing.T) {
	under := filepath.Join(t.TempDir(), "under")
	if out, err := exec.Command("go", "build", "-o", under, "./testdata/under").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, c := range map[string]struct{ script, want string }{
		"git": {
			`git init -q -b main r && cd r && echo one > f && git add f && git commit -q -m first && cd .. && git clone -q "file://$PWD/r" c &&
			git -C c gc -q && git -C c log --format=%s && cat c/f`, "first\none\n",
		},
		"rsync":    {`mkdir -p a/b && seq 5000 > a/b/n && rsync -a a/ c && rsync -a --delete a/ c && cmp a/b/n c/b/n && echo same`, "same\n"},
		"tar":      {`mkdir d && seq 5000 > d/n && tar -czf d.tgz d && rm -r d && tar -xzf d.tgz && tail -n 1 d/n`, "5000\n"},
		"gcc":      {`printf '#include <stdio.h>\nint main(void) { return puts("made") < 0; }\n' > a.c && gcc -O2 -pthread -o a a.c && ./a`, "made\n"},
		"ssh keys": {`ssh-keygen -q -t ed25519 -N '' -f k && ssh-keygen -l -f k.pub | cut -d' ' -f1`, "256\n"},
		"ssh":      {`ssh -V 2>&1 | grep -c OpenSSH; ssh -T -G -F none nowhere | grep -c '^hostname nowhere'`, "1\n1\n"},
		"curl":     {`echo there > f && curl -s "file://$PWD/f"`, "there\n"},
		"jobs":     {`(sleep 0; echo end) & wait; timeout 9 true; nice true; setsid true; flock l true; nohup true < /dev/null; mkfifo p; echo in > p & cat p`, "end\nin\n"},
		"ps":       {`ps -o comm= -p $$; sync; df . > /dev/null; du -s . > /dev/null; id -u > /dev/null; find . -name nothing; stat -c %F .`, "sh\ndirectory\n"},
		"network":  {`ip -o link show lo | cut -d: -f2`, " lo\n"},
		"perl":     {`perl -e 'pipe(R, W); if (!fork) { print W "said\n"; exit } wait; close W; print <R>'`, "said\n"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(under, "sh", "-c", c.script)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "LC_ALL=C", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
				"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_CONFIG_NOSYSTEM=1")
			var out, words bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &words
			if err := cmd.Run(); err != nil || out.String() != c.want || words.Len() > 0 {
				t.Errorf("%v: it printed %q, want %q, and complained %q", err, out.String(), c.want, words.String())
			}
		})
	}
}
