package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Leftovers lists what the kernel still holds of this demo: the thirteen kinds of RULE OWN that can outlive a process.
// Everything of an instance carries its label, so foreign objects are never counted.
func (d *Demo) Leftovers() []string {
	var left []string
	note := func(kind string, lines []string) {
		for _, line := range lines {
			left = append(left, kind+": "+line)
		}
	}
	note("mount", grep(read("/proc/self/mountinfo"), d.Data, d.Instance))
	note("loop", grep(output("losetup", "-a"), d.Data))
	note("interface", grep(output("ip", "-o", "link"), d.Instance))
	note("address", grep(output("ip", "-o", "addr"), d.Instance))
	note("nft table", grep(output("nft", "list", "tables"), d.Instance))
	note("cgroup", d.cgroups())
	note("process", d.processes())
	if _, err := os.Stat(filepath.Join("/run", d.Instance)); err == nil {
		note("folder", []string{"/run/" + d.Instance})
	}
	return left
}

func (d *Demo) cgroups() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/", "/sys/fs/cgroup/*/*/"} {
		match, _ := filepath.Glob(pattern + d.Instance)
		found = append(found, match...)
	}
	return found
}

// processes are those that run our programs with our folder on their command line, and inits of our cgroups.
func (d *Demo) processes() []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		text := read(file)
		group := read(filepath.Join(filepath.Dir(file), "cgroup"))
		if strings.Contains(text, d.Data) || strings.Contains(group, "/"+d.Instance+"/") {
			found = append(found, filepath.Base(filepath.Dir(file))+" "+strings.ReplaceAll(text, "\x00", " "))
		}
	}
	return found
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func output(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput()
	return string(out)
}

func grep(text string, words ...string) []string {
	var found []string
	for _, line := range strings.Split(text, "\n") {
		for _, w := range words {
			if strings.Contains(line, w) {
				found = append(found, line)
				break
			}
		}
	}
	return found
}
