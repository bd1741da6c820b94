package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestStories runs testdata/*.txtar against the real binary with real clients. Each story has a demo of its own.
//
//	demo                      start `petitpont demo` (again), wait until it runs
//	demo -end                 press Ctrl+C, wait, and check that nothing is left behind
//	signin LOGIN [PASSWORD]   sign in at the panel; later get and post carry this session
//	get [CODE] URL            fetch a page into stdout; a path is the panel's, NAME:PATH is a site's
//	post [CODE] URL k=v...    submit a form, follow what it answers
//	await SECONDS URL TEXT    fetch until the page holds TEXT
//	sftp LOGIN [FILE]         OpenSSH's sftp with the commands of FILE
//	scp LOGIN ARGS...         OpenSSH's scp; @: stands for the gate
//	slapd start|stop          a real OpenLDAP with marie (student) and paul (in no group), for the demo that follows
//	inside SCRIPT             run a script as root inside the one site that runs
//	kill9 serve|runtime       kill the process, wait until it has been started again
//	herd N URL                N visitors at once; all must get 200
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		WorkdirRoot:         openTempDir(t), // by default one is left when only some stories run
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"demo": demoCmd, "signin": signinCmd, "get": getCmd, "post": postCmd, "await": awaitCmd,
			"sftp": sftpCmd, "scp": scpCmd, "kill9": kill9Cmd, "inside": insideCmd, "herd": herdCmd, "slapd": slapdCmd,
		},
	})
}

// visitor is what a story keeps between its lines.
type visitor struct {
	demo   *Demo
	client *http.Client
	slapd  *slapd
}

func setup(env *testscript.Env) error {
	for p := env.WorkDir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		_ = os.Chmod(p, 0o755)
	}
	d, err := newDemo(filepath.Join(env.WorkDir, "data"))
	if err != nil {
		return err
	}
	jar, _ := cookiejar.New(nil)
	v := &visitor{demo: d, client: &http.Client{Jar: jar, Timeout: 2 * time.Minute, Transport: transport(false)}}
	env.Values["visitor"] = v
	env.Setenv("GATE", strconv.Itoa(d.Gate))
	env.Setenv("SITES", strconv.Itoa(d.Sites))
	env.Setenv("PANEL", strconv.Itoa(d.Panel))
	askpass := filepath.Join(env.WorkDir, "askpass")
	if err := os.WriteFile(askpass, []byte("#!/bin/sh\necho \"${PASSWORD:-petitpont}\"\n"), 0o755); err != nil {
		return err
	}
	env.Setenv("SSH_ASKPASS", askpass)
	env.Setenv("SSH_ASKPASS_REQUIRE", "force")
	env.Defer(func() {
		v.slapd.stop()
		if err := v.end(); err != nil {
			env.T().Log(err)
			env.T().FailNow()
		}
	})
	return nil
}

// transport finds NAME.localhost where browsers and curl find it, on the loopback (RFC 6761, section 6.3).
func transport(once bool) *http.Transport {
	return &http.Transport{DisableKeepAlives: once, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}}
}

var markup = regexp.MustCompile(`(?s)<(svg|script|head).*?</(svg|script|head)>|<[^>]*>`)

// words are what a person reads of a page: for stdout, and for the message when a story fails.
func words(page string) string { return strings.TrimSpace(markup.ReplaceAllString(page, " ")) }

// end presses Ctrl+C and counts what is left.
func (v *visitor) end() error {
	err := v.demo.Stop()
	if left := v.demo.Leftovers(); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left behind:\n%s", strings.Join(left, "\n")))
	}
	return err
}

func visitorOf(ts *testscript.TestScript) *visitor { return ts.Value("visitor").(*visitor) }

func demoCmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	if len(args) == 1 && args[0] == "-end" {
		ts.Check(v.end())
		return
	}
	ts.Check(v.demo.Start())
}

func signinCmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	v.client.Jar, _ = cookiejar.New(nil)
	password := "petitpont"
	if len(args) > 1 {
		password = args[1]
	}
	code, body, err := v.post(v.url("/login"), url.Values{"login": {args[0]}, "password": {password}})
	ts.Check(err)
	_, _ = io.WriteString(ts.Stdout(), words(body)+"\n")
	if code != http.StatusOK {
		ts.Fatalf("sign in as %s: %d\n%s", args[0], code, words(body))
	}
}

// url turns a story's word into an address: /path is the panel's, name:/path a site's.
func (v *visitor) url(word string) string {
	if strings.HasPrefix(word, "/") {
		return fmt.Sprintf("http://localhost:%d%s", v.demo.Panel, word)
	}
	name, path, _ := strings.Cut(word, ":")
	return fmt.Sprintf("http://%s.localhost:%d%s", name, v.demo.Sites, path)
}

func (v *visitor) get(address string) (int, string, error) {
	return v.do(http.NewRequest(http.MethodGet, address, nil))
}

func (v *visitor) post(address string, form url.Values) (int, string, error) {
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return v.do(req, err)
}

func (v *visitor) do(req *http.Request, err error) (int, string, error) {
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Accept-Language", "en")
	res, err := v.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// wanted takes an expected status code off the front of args; 200 if there is none.
func wanted(args []string) (int, []string) {
	if code, err := strconv.Atoi(args[0]); err == nil {
		return code, args[1:]
	}
	return http.StatusOK, args
}

func getCmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	want, args := wanted(args)
	code, body, err := v.get(v.url(args[0]))
	ts.Check(err)
	_, _ = io.WriteString(ts.Stdout(), words(body)+"\n")
	if code != want {
		ts.Fatalf("get %s: %d, want %d\n%s", args[0], code, want, words(body))
	}
}

func postCmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	want, args := wanted(args)
	form := url.Values{}
	for _, pair := range args[1:] {
		k, value, _ := strings.Cut(pair, "=")
		form.Add(k, value)
	}
	code, body, err := v.post(v.url(args[0]), form)
	ts.Check(err)
	_, _ = io.WriteString(ts.Stdout(), words(body)+"\n")
	if code != want {
		ts.Fatalf("post %s: %d, want %d\n%s", args[0], code, want, words(body))
	}
}

func awaitCmd(ts *testscript.TestScript, neg bool, args []string) {
	v := visitorOf(ts)
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	var body string
	for deadline := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		_, body, err = v.get(v.url(args[1]))
		if err == nil && strings.Contains(body, args[2]) != neg {
			_, _ = io.WriteString(ts.Stdout(), words(body)+"\n")
			return
		}
	}
	ts.Fatalf("await %q at %s: not within %s s (%v)\n%s\n%s", args[2], args[1], args[0], err, words(body), v.demo.Log())
}

// sshOptions leave nothing to the person's own configuration, and ask for the password once.
var sshOptions = []string{
	"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
	"-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no",
}

func sftpCmd(ts *testscript.TestScript, neg bool, args []string) {
	v := visitorOf(ts)
	words := append([]string{"-P", strconv.Itoa(v.demo.Gate)}, sshOptions...)
	words = append(words, "-o", "BatchMode=no", "-b", ts.MkAbs(args[1]), args[0]+"@127.0.0.1")
	run(ts, neg, "sftp", words)
}

func scpCmd(ts *testscript.TestScript, neg bool, args []string) {
	v := visitorOf(ts)
	words := append([]string{"-P", strconv.Itoa(v.demo.Gate)}, sshOptions...)
	for _, a := range args[1:] {
		words = append(words, strings.ReplaceAll(a, "@:", args[0]+"@127.0.0.1:"))
	}
	run(ts, neg, "scp", words)
}

func run(ts *testscript.TestScript, neg bool, name string, words []string) {
	cmd := exec.Command(name, words...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ts.Getenv("SSH_ASKPASS"), "SSH_ASKPASS_REQUIRE=force",
		"PASSWORD="+ts.Getenv("PASSWORD"), "LANG=C.UTF-8")
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err := cmd.Run()
	if failed := err != nil; failed != neg {
		ts.Fatalf("%s %s: %v", name, strings.Join(words, " "), err)
	}
}

// insideCmd runs a script as the root of the one site that runs, as its owner could.
func insideCmd(ts *testscript.TestScript, _ bool, args []string) {
	states, err := filepath.Glob(filepath.Join("/run", visitorOf(ts).demo.Instance, "boxes", "*", "state.json"))
	ts.Check(err)
	var pid string
	for _, path := range states {
		var box struct {
			PID     int  `json:"pid"`
			Running bool `json:"running"`
		}
		ts.Check(json.Unmarshal([]byte(read(path)), &box))
		if box.Running {
			pid = strconv.Itoa(box.PID)
		}
	}
	if pid == "" {
		ts.Fatalf("inside: no site runs")
	}
	out, err := exec.Command("nsenter", "--target", pid, "--user", "--mount", "--pid", "--setuid=0", "--setgid=0", "sh", "-c", args[0]).CombinedOutput()
	if err != nil {
		ts.Fatalf("inside: %v: %s", err, out)
	}
}

func kill9Cmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	pid, err := v.demo.Member(args[0])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if again, err := v.demo.Member(args[0]); err == nil && again != pid {
			return
		}
	}
	ts.Fatalf("%s was not started again", args[0])
}

// herdCmd sends n visitors at once, each over a connection of its own.
func herdCmd(ts *testscript.TestScript, _ bool, args []string) {
	v := visitorOf(ts)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	client := &http.Client{Timeout: 2 * time.Minute, Transport: transport(true)}
	codes := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			res, err := client.Get(v.url(args[1]))
			if err != nil {
				codes[i] = err.Error()
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			codes[i] = res.Status
		})
	}
	all.Wait()
	for i, code := range codes {
		if code != "200 OK" {
			ts.Fatalf("visitor %d of %d got %s\n%s", i, n, code, v.demo.Log())
		}
	}
}

// TestServeIsNobody reads of the running process that the world can reach: its user, its rights, its descriptors.
func TestServeIsNobody(t *testing.T) {
	d := demoFor(t)
	pid, err := d.Member("serve")
	if err != nil {
		t.Fatal(err)
	}
	status := read(fmt.Sprintf("/proc/%d/status", pid))
	for _, want := range []string{
		"Uid:\t64990\t64990\t64990\t64990", "Gid:\t64990\t64990\t64990\t64990", "Groups:\t \n",
		"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000",
		"NoNewPrivs:\t1",
	} {
		if !strings.Contains(status, want) {
			t.Errorf("serve's status lacks %q", want)
		}
	}
	if i, err := os.Stat(fmt.Sprintf("/proc/%d/mem", pid)); err != nil || i.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("serve's memory is open to its own user, and goes into core files: %v, %v", i, err)
	}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if len(links) == 0 {
		t.Fatal("serve has no descriptors to look at")
	}
	for _, link := range links {
		target, _ := os.Readlink(link)
		for _, forbidden := range []string{"/sites/", "/templates/", "/dev/loop", "net:[", "mnt:[", "user:["} {
			if strings.Contains(target, forbidden) {
				t.Errorf("serve holds %s", target)
			}
		}
	}
}
