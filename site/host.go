package site

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Host is how the machine does.
type Host struct {
	Memory, MemoryMax int64 // bytes in use and in all
	Disk, DiskMax     int64 // bytes in use and in all, where the sites are
	Awake             int   // sites
	RuntimeDown       bool
}

// HostReading is what the machine itself says, in bytes.
type HostReading struct {
	Memory, MemoryMax int64
	Disk, DiskMax     int64
}

// Host reads the machine and asks whether the runtime answers.
func (v *Service) Host(ctx context.Context) (Host, error) {
	r, err := v.cfg.ReadHost()
	if err != nil {
		return Host{}, fmt.Errorf("read the host: %w", err)
	}
	h := Host{Memory: r.Memory, MemoryMax: r.MemoryMax, Disk: r.Disk, DiskMax: r.DiskMax}
	for _, e := range v.entries() {
		if e.snapshot().State == Awake {
			h.Awake++
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, err = v.cfg.Driver.Templates(ctx)
	h.RuntimeDown = err != nil
	return h, nil
}

// ReadHost reads /proc/meminfo, and the file system dir is on.
func ReadHost(dir string) (HostReading, error) {
	var r HostReading
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return r, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kilobytes int64
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if _, err := fmt.Sscanf(rest, "%d kB", &kilobytes); err != nil {
			continue
		}
		switch name {
		case "MemTotal":
			r.MemoryMax = kilobytes << 10
		case "MemAvailable":
			r.Memory = r.MemoryMax - kilobytes<<10 // stands after MemTotal
		}
	}
	if err := lines.Err(); err != nil {
		return r, err
	}
	return r, r.readDisk(dir)
}

func (r *HostReading) readDisk(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	r.DiskMax = int64(fs.Blocks) * fs.Bsize
	r.Disk = r.DiskMax - int64(fs.Bavail)*fs.Bsize
	return nil
}
