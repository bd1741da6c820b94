package unshare

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// shared are ceilings of the host that all sites fill together. What a user namespace counts is also counted for whoever
// made it, all the way up (inc_ucount in kernel/ucount.c), and we make every one as root: with the usual 128 inotify
// instances two sites would leave none to the rest, the host's own services included. Each site has a ceiling of its own
// (stage), so the common one only has to be above their sum for a full machine (RULE BUDGET).
var shared = map[string]int{
	"/proc/sys/fs/inotify/max_user_instances": 1 << 17, // 64 for each of two thousand sites
	"/proc/sys/fs/inotify/max_user_watches":   1 << 26, // each costs its site's own memory
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
