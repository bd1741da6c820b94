package probe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// budgets take clearly more than the site has, and give it back. Each is bounded by what it is told the limit is.
var budgets = []Probe{
	{Name: "descriptors", Kind: Budget, About: "more open files than a process may have", Wall: "process limits", try: descriptors},
	{Name: "terminals", Kind: Budget, About: "more terminals than a site may have", Wall: "pty limit", try: terminals},
	{Name: "watchers", Kind: Budget, About: "more inotify instances than a site may have", Wall: "namespace ceilings", try: watchers},
	{Name: "better scheduling", Kind: Budget, About: "a priority above the others", Wall: "user namespace", Also: []string{"capability SYS_NICE"}, try: scheduling},
	{Name: "processor time", Kind: Budget, About: "all cores at once", Wall: "limit of cpu", try: processor},
	{Name: "memory files", Kind: Budget, About: "a tmpfs filled to the brim", Wall: "limit of tmpfs", Dies: true, try: func(w World) (string, error) { return fill("/tmp", w.Limits.Tmp+8<<20) }},
	{Name: "inodes", Kind: Budget, About: "more files than a site may have", Wall: "limit of inodes", try: inodes},
	{Name: "disk", Kind: Budget, About: "more bytes than a site may have", Wall: "limit of disk", try: func(w World) (string, error) { return fill("/home/site", w.Limits.Disk+8<<20) }},
	{Name: "processes", Kind: Budget, About: "more threads than a site may have", Wall: "limit of processes", Dies: true, try: threads},
}

// last is what all others would suffer from.
var last = []Probe{
	{Name: "memory", Kind: Budget, About: "twice the memory a site may have", Wall: "limit of memory", Dies: true, try: memory},
}

func descriptors(w World) (string, error) {
	for n := range w.Limits.Files + 16 {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
			return "", nil
		}
		if n == w.Limits.Files+15 {
			break
		}
	}
	return fmt.Sprintf("%d open files", w.Limits.Files+16), nil
}

func terminals(w World) (string, error) {
	for n := 0; n < w.Limits.Terminals+16; n++ {
		if _, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0); err != nil {
			return "", nil
		}
	}
	return fmt.Sprintf("%d terminals", w.Limits.Terminals+16), nil
}

func watchers(w World) (string, error) {
	for n := 0; n < w.Limits.Watchers+16; n++ {
		if _, err := unix.InotifyInit1(0); err != nil {
			return "", nil
		}
	}
	return fmt.Sprintf("%d instances", w.Limits.Watchers+16), nil
}

func scheduling(World) (string, error) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return "", err
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -5); err == nil {
		return fmt.Sprintf("nice %d became -5", 20-before), nil
	}
	return "", nil
}

// processor turns on every core and compares what it got with what it was promised, with a quarter of it as slack. It tries
// again, because on a busy host nobody gets much for a while.
func processor(w World) (string, error) {
	for range 3 {
		share, err := spin()
		if err != nil {
			return "", err
		}
		if share > w.Limits.CPU*5/4 {
			return fmt.Sprintf("%d thousandths of a core instead of %d", share, w.Limits.CPU), nil
		}
	}
	return "", nil
}

// spin is the share of a core that all cores give together.
func spin() (thousandths int, err error) {
	const turn = 1200 * time.Millisecond
	before, err := spent()
	if err != nil {
		return 0, err
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	runtime.GOMAXPROCS(max(runtime.NumCPU(), 2))
	began := time.Now()
	for range max(runtime.NumCPU(), 2) {
		wg.Go(func() {
			for !stop.Load() {
			}
		})
	}
	<-time.After(turn)
	stop.Store(true)
	wg.Wait()
	after, err := spent()
	return int((after - before) * 1000 / time.Since(began)), err
}

func spent() (time.Duration, error) {
	var used unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), err
}

// fill writes until somebody says stop, and takes it away again.
func fill(dir string, size int64) (string, error) {
	f, err := os.CreateTemp(dir, "petitpont-fill-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(f.Name()); _ = f.Close() }()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for n := int64(0); n < size; n += int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			return refusedRoom(err)
		}
	}
	if err := f.Sync(); err != nil {
		return refusedRoom(err)
	}
	return fmt.Sprintf("%d MiB in %s", size>>20, dir), nil
}

func refusedRoom(err error) (string, error) {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return "", nil
	}
	return "", err
}

func inodes(w World) (string, error) {
	dir, err := os.MkdirTemp("/home/site", "petitpont-inodes-")
	if err != nil {
		return refusedRoom(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for n := int64(0); n < w.Limits.Inodes+64; n++ {
		if err := unix.Mknod(filepath.Join(dir, itoa(int(n))), unix.S_IFREG|0o600, 0); err != nil {
			return refusedRoom(err)
		}
	}
	return fmt.Sprintf("%d files", w.Limits.Inodes+64), nil
}

// threads starts threads, which the kernel counts like processes. The last one that is refused ends the program.
func threads(w World) (string, error) {
	debug.SetMaxThreads(w.Limits.Procs + 1024)
	want := w.Limits.Procs + 32
	var standing sync.WaitGroup
	release := make(chan struct{})
	defer close(release)
	for range want {
		standing.Add(1)
		go func() {
			runtime.LockOSThread()
			standing.Done()
			_ = syscall.Pause() // a system call, so that the thread is really there
			<-release
		}()
	}
	standing.Wait()
	return fmt.Sprintf("%d threads", want), nil
}

func memory(w World) (string, error) {
	debug.SetGCPercent(-1)
	size := int(2 * w.Limits.Memory)
	all, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return "", nil
	}
	for i := 0; i < size; i += 4096 {
		all[i] = 1
	}
	return fmt.Sprintf("%d MiB", size>>20), nil
}

func lines(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}
