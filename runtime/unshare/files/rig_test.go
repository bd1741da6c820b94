package files_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"
)

// program builds the server once, as the box has it: static, without cgo.
var program = sync.OnceValues(func() (string, error) {
	// go test shows a stored result until a file that the test itself has looked at changes.
	sources, err := filepath.Glob("*.go")
	for _, s := range append(sources, "../../../go.mod") {
		_, e := os.ReadFile(s)
		err = errors.Join(err, e)
	}
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "files-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "box")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/box")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// box is a root file system with the program and an empty home, and a secret outside the home.
type box struct {
	t    *testing.T
	root string
}

func newBox(t *testing.T) box {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("", "files-box-") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	b := box{t, root}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b.must(os.Chmod(root, 0o755), os.MkdirAll(b.path("home/site/www"), 0o755), os.Mkdir(b.path("bin"), 0o755), os.Mkdir(b.path("etc"), 0o755),
		os.WriteFile(b.path("bin/files"), text, 0o755), os.WriteFile(b.path("etc/secret"), []byte("secret"), 0o644),
		os.Chown(b.path("home/site"), 1000, 1000), os.Chown(b.path("home/site/www"), 1000, 1000))
	return b
}

func (b box) path(name string) string { return filepath.Join(b.root, name) }
func (b box) www(name string) string  { return filepath.Join(b.root, "home/site/www", name) }

func (b box) must(errs ...error) {
	b.t.Helper()
	if err := errors.Join(errs...); err != nil {
		b.t.Fatal(err)
	}
}

func (b box) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(name)
	b.must(err)
	return string(text)
}

// own gives a file to the site, as its programs would have made it.
func (b box) own(names ...string) {
	b.t.Helper()
	for _, n := range names {
		b.must(os.Lchown(b.www(n), 1000, 1000))
	}
}

// serve starts the server and returns a client, and the process.
func (b box) serve(wrap ...string) (*sftp.Client, *exec.Cmd) {
	b.t.Helper()
	conn, cmd := b.connect(wrap...)
	client, err := sftp.NewClientPipe(conn, conn)
	b.must(err)
	return client, cmd
}

// connect starts the server and returns the connection to it before a word was said, and the process.
func (b box) connect(wrap ...string) (net.Conn, *exec.Cmd) {
	b.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	b.must(err)
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	// It must get rid of all this by itself.
	argv := append(wrap, "sh", "-c", `umask 077; exec "$@"`, "sh", "chroot", "--groups=4,27", b.root, "/bin/files")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	b.must(cmd.Start(), theirs.Close())
	b.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	conn, err := net.FileConn(ours)
	b.must(err, ours.Close())
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn, cmd
}

// sftp runs OpenSSH's client against the server. A line that begins with - may fail.
func (b box) sftp(batch ...string) (string, error) {
	b.t.Helper()
	return b.batch("/usr/sbin/chroot "+b.root+" /bin/files", batch)
}

func (b box) batch(server string, lines []string) (string, error) {
	b.t.Helper()
	cmd := exec.Command("sftp", "-b", "-", "-D", server)
	cmd.Dir = b.t.TempDir()
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
