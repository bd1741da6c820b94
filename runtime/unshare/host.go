package unshare

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// shared are ceilings of the host that all sites fill together: who reaches one takes from all the others, the host's own
// services included. Each site has a ceiling of its own, so the common one only has to be above their sum for a full
// machine (RULE BUDGET); what is below it costs its site's own memory.
//
// What a user namespace counts is also counted for whoever made it, all the way up (inc_ucount in kernel/ucount.c), and
// we make every one as root: with the usual 128 inotify instances two sites would leave none to the rest.
var shared = map[string]int{
	"/proc/sys/fs/inotify/max_user_instances": 1 << 17, // 64 for each of two thousand sites
	"/proc/sys/fs/inotify/max_user_watches":   1 << 26,
	"/proc/sys/kernel/pty/max":                1 << 17, // the usual 4096 are the open terminals of 48 sites
	"/proc/sys/fs/file-max":                   1 << 40, // open files; a host with systemd has more, others as its memory is
	"/proc/sys/kernel/pid_max":                1 << 22, // as systemd sets it: the usual 32768 are 256 sites' fork bombs
}

// makeRoom raises ceilings of the host that are too low for many sites. They are never lowered, and stay raised: nobody
// is harmed by room that is not used, and somebody else may have come to need it.
func makeRoom() error {
	for path, want := range shared {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // a kernel without it
		}
		if err != nil {
			return fmt.Errorf("read ceiling: %w", err)
		}
		if have, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && have >= want {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(want)), 0o644); err != nil {
			return fmt.Errorf("raise ceiling: %w", err)
		}
	}
	return nil
}
