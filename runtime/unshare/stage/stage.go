package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// Main is the stage. It returns only when something failed; the runtime has been told by then.
func Main() int {
	goruntime.LockOSThread() // rights, filters and namespaces belong to this thread, and it is the one that executes init
	control, err := unix.FcntlInt(Terminals, unix.F_DUPFD_CLOEXEC, Box+1)
	if err != nil {
		fmt.Fprintln(os.Stderr, "petitpont-box stage is started by petitpont, not by hand")
		return 2
	}
	if err := run(control); err != nil {
		_ = unix.Send(control, []byte(err.Error()), unix.MSG_NOSIGNAL)
		return 1
	}
	return 0
}

func run(control int) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("detach from the host's mounts: %w", err)
	}
	plan, image, template, err := receive(control)
	if err != nil {
		return err
	}
	// Here and not in clone: together with CLONE_INTO_CGROUP that would show the runtime's own cgroup as the root.
	if !plan.off(GroupSpace) {
		if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
			return fmt.Errorf("new cgroup namespace: %w", err)
		}
	}
	held, err := build(plan, image, template)
	if err != nil {
		return err
	}
	if err := lockDown(plan); err != nil {
		return err
	}
	if err := handshake(control); err != nil {
		return err
	}
	return become(held)
}

func receive(control int) (p Plan, image, template int, err error) {
	buf, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(2*4))
	n, oobn, _, _, err := unix.Recvmsg(control, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return p, -1, -1, fmt.Errorf("the runtime went away: %w", errors.Join(err))
	}
	fds, err := received(oob[:oobn])
	if err != nil || len(fds) != 2 {
		return p, -1, -1, fmt.Errorf("want two mounts, got %d: %w", len(fds), err)
	}
	if err := json.Unmarshal(buf[:n], &p); err != nil {
		return p, -1, -1, fmt.Errorf("read plan: %w", err)
	}
	return p, fds[0], fds[1], p.check()
}

func received(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) != 1 {
		return nil, fmt.Errorf("no descriptors: %w", err)
	}
	return unix.ParseUnixRights(&msgs[0])
}

func handshake(control int) error {
	if err := unix.Send(control, []byte(Built), unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	buf := make([]byte, 16)
	n, _, err := unix.Recvfrom(control, buf, 0)
	if err != nil || string(buf[:n]) != Go {
		return fmt.Errorf("the runtime did not say go: %w", err)
	}
	return nil
}

// become executes init with exactly the descriptors it knows: all above are closed by the exec itself.
func become(held holds) error {
	for number, mount := range held {
		if err := unix.Dup3(mount, number, 0); err != nil {
			return fmt.Errorf("pass mount %d: %w", number, err)
		}
	}
	if err := unix.CloseRange(Init, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	return execveat(Init, []string{"petitpont-init"}, nil)
}
