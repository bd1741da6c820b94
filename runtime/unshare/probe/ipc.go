package probe

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shared are bombs made of what programs share: it outlives them, and is in no process's own memory.
var shared = []Probe{
	{Name: "message queues", Kind: Budget, About: "more bytes in POSIX queues than a user may have", Wall: "process limits", try: queues},
	{Name: "SysV messages", Kind: Budget, About: "messages that nobody fetches, twice the memory of the site", Wall: "limit of memory", Dies: true, After: sweep(unix.SYS_MSGCTL, msgInfo, msgStat), try: messages},
	{Name: "SysV semaphores", Kind: Budget, About: "sets of semaphores, twice the memory of the site", Wall: "limit of memory", Dies: true, After: sweep(unix.SYS_SEMCTL, semInfo, semStat), try: semaphores},
	{Name: "SysV shared memory", Kind: Budget, About: "segments of twice the memory of the site", Wall: "limit of memory", Dies: true, After: sweep(unix.SYS_SHMCTL, shmInfo, shmStat), try: segments},
}

const (
	ipcPrivate = 0
	messageMax = 8192    // bytes; kernel.msgmax of a new namespace
	queueMax   = 16384   // bytes; kernel.msgmnb
	setMax     = 32000   // semaphores; the first number of kernel.sem
	semBytes   = 64      // of one semaphore, in the kernel
	segment    = 8 << 20 // bytes
)

// queues opens queues of the largest kind anybody may make, and counts what the kernel has promised.
func queues(w World) (string, error) {
	const most, bytes = 10, 8192 // fs.mqueue.msg_max and msgsize_max of a new namespace
	attr := [8]int{1: most, 2: bytes}
	for held := 0; ; held += most * bytes {
		if held > w.Limits.Queues*3/2 {
			return fmt.Sprintf("%d KiB in queues", held>>10), nil
		}
		name := text("petitpont-" + strconv.Itoa(os.Getpid()) + "-" + itoa(held))
		_, _, e := unix.Syscall6(unix.SYS_MQ_OPEN, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o600, uintptr(unsafe.Pointer(&attr)), 0, 0)
		if e != 0 {
			return "", refusal(e, unix.EMFILE, unix.ENOSPC, unix.ENOMEM)
		}
		_ = call(unix.SYS_MQ_UNLINK, name) // it lives on as long as we do
	}
}

func messages(w World) (string, error) {
	die()
	type message struct {
		kind int
		text [messageMax]byte
	}
	m := message{kind: 1}
	for held := int64(0); held < 2*w.Limits.Memory; held += queueMax {
		id, _, e := unix.Syscall(unix.SYS_MSGGET, ipcPrivate, unix.IPC_CREAT|0o600, 0)
		for range queueMax / messageMax {
			if e == 0 {
				e = call(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&m)), messageMax, unix.IPC_NOWAIT)
			}
		}
		if e != 0 {
			return "", refusal(e, unix.ENOMEM, unix.ENOSPC, unix.EAGAIN)
		}
	}
	return fmt.Sprintf("%d MiB of messages", 2*w.Limits.Memory>>20), nil
}

func semaphores(w World) (string, error) {
	die()
	for held := int64(0); held < 2*w.Limits.Memory; held += setMax * semBytes {
		if e := call(unix.SYS_SEMGET, ipcPrivate, setMax, unix.IPC_CREAT|0o600); e != 0 {
			return "", refusal(e, unix.ENOMEM, unix.ENOSPC)
		}
	}
	return fmt.Sprintf("%d MiB of semaphores", 2*w.Limits.Memory>>20), nil
}

func segments(w World) (string, error) {
	die()
	for held := int64(0); held < 2*w.Limits.Memory; held += segment {
		id, err := unix.SysvShmGet(ipcPrivate, segment, unix.IPC_CREAT|0o600)
		if err != nil {
			return "", refusal(errnoOf(err), unix.ENOMEM, unix.ENOSPC)
		}
		all, err := unix.SysvShmAttach(id, 0, 0)
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) // it lives on as long as we do
		if err != nil {
			return "", refusal(errnoOf(err), unix.ENOMEM)
		}
		for i := 0; i < segment; i += 4096 {
			all[i] = 1
		}
	}
	return fmt.Sprintf("%d MiB of shared memory", 2*w.Limits.Memory>>20), nil
}

// refusal is no error when a limit can answer this way.
func refusal(e unix.Errno, limits ...unix.Errno) error {
	for _, l := range limits {
		if e == l {
			return nil
		}
	}
	return e
}

// die has the kernel take this process first when the site's memory is full: what it fills belongs to no process, and
// the others of the site, which are not to blame, would go one after the other.
func die() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) }

// sweep removes what a probe of ours has left in the namespace of the site, all that this user may. It asks the kernel
// for one after the other, without a list: the site's memory is full of them.
func sweep(control, info, stat uintptr) func() {
	return func() {
		var answer [32]uint64 // more than any of the answers
		room := uintptr(unsafe.Pointer(&answer))
		most, _, e := controlIPC(control, 0, info, room)
		for at := uintptr(0); e == 0 && at <= most; at++ {
			if id, _, e := controlIPC(control, at, stat, room); e == 0 {
				_, _, _ = controlIPC(control, id, unix.IPC_RMID, 0)
			}
		}
	}
}

// controlIPC is msgctl, semctl or shmctl; the second of them has one more number.
func controlIPC(control, id, command, room uintptr) (uintptr, uintptr, unix.Errno) {
	if control == unix.SYS_SEMCTL {
		return unix.Syscall6(control, id, 0, command, room, 0, 0)
	}
	return unix.Syscall(control, id, command, room)
}

// What the kernel's tools for these three ask: how many there are, and which (linux/msg.h, linux/sem.h, linux/shm.h).
const (
	msgStat, msgInfo = 11, 12
	shmStat, shmInfo = 13, 14
	semStat, semInfo = 18, 19
)
