package unshare

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// CheckHost tells whether this machine can run containers, and changes nothing on it. Its error is a sentence for
// whoever runs the machine: what is missing, and what to do. What the network needs, network.Try tells.
func CheckHost() error {
	for _, check := range []func() error{checkKernel, checkRights, checkPrograms, checkNamespaces, checkFilesystems, checkCgroups} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Linux 6.1 is Debian 12's: nothing older has ever run this.
const kernelMajor, kernelMinor = 6, 1

func checkKernel() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("ask for the kernel's version: %w", err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("kernel version %q: %w", release, err)
	}
	if major < kernelMajor || major == kernelMajor && minor < kernelMinor {
		return fmt.Errorf("this machine runs Linux %s: containers need %d.%d or newer, as Debian 12 and 13 bring it", release, kernelMajor, kernelMinor)
	}
	return nil
}

// rights are the capabilities that a root inside a container usually lacks.
var rights = map[string]int{
	"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_MKNOD": unix.CAP_MKNOD,
}

func checkRights() error {
	if os.Geteuid() != 0 {
		return errors.New("containers are made by root: use sudo")
	}
	head, sets := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("ask for capabilities: %w", err)
	}
	var missing []string
	for name, bit := range rights {
		if sets[bit/32].Effective&(1<<(bit%32)) == 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("root is not allowed everything here (no %s), as inside a container: use the machine itself, or a virtual one", strings.Join(missing, ", "))
	}
	return nil
}

// needed is what the driver and its network run, with the package each is from.
var needed = []struct{ name, pkg string }{
	{"mkfs.ext4", "e2fsprogs"},
	{"e2fsck", "e2fsprogs"},
	{"resize2fs", "e2fsprogs"},
	{"nft", "nftables"},
	{"nsenter", "util-linux"},
	{"tee", "coreutils"},
}

func checkPrograms() error {
	var missing []string
	for _, p := range needed {
		if _, err := exec.LookPath(p.name); err != nil && !slices.Contains(missing, p.pkg) {
			missing = append(missing, p.pkg)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs are missing: apt install %s", strings.Join(missing, " "))
	}
	return nil
}

// checkNamespaces makes those of a box around a program that ends at once.
func checkNamespaces() error {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1_000_000, Size: idsPerSite}}
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: birthFlags | unix.CLONE_NEWCGROUP, Pdeathsig: syscall.SIGKILL,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{},
	}
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return errors.New("namespaces are switched off or used up on this machine: raise the sysctls user.max_*_namespaces")
	case errors.Is(err, unix.EPERM):
		return errors.New("this machine lets nobody make user namespaces, as inside a container or a chroot: use the machine itself, or a virtual one")
	case errors.Is(err, unix.EINVAL):
		return errors.New("this machine's kernel was built without a namespace that containers need (user, mount, pid, network, ipc, uts, cgroup)")
	}
	return fmt.Errorf("this machine cannot make containers: new namespaces: %w", err)
}

// checkFilesystems makes the kernel load what it has as a module, as the first mount would.
func checkFilesystems() error {
	for _, name := range []string{"overlay", "ext4", "tmpfs"} {
		fs, err := unix.Fsopen(name, unix.FSOPEN_CLOEXEC)
		if err != nil {
			return fmt.Errorf("this machine's kernel has no file system %s (%w): load its module, or take Debian's own kernel", name, err)
		}
		_ = unix.Close(fs)
	}
	f, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("this machine gives no loop devices (%w): modprobe loop, or use a machine that is no container itself", err)
	}
	return f.Close()
}

func checkCgroups() error {
	const advice = "containers need the cgroup controllers memory, cpu and pids, writable, as Debian mounts them"
	dirs := []string{cgroupRoot}
	if have, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		for _, c := range strings.Fields(strings.ReplaceAll(v2Controllers, "+", "")) {
			if !slices.Contains(strings.Fields(string(have)), c) {
				return fmt.Errorf("this machine has no cgroup controller %s: %s", c, advice)
			}
		}
	} else {
		h, err := findV1("")
		if err != nil {
			return fmt.Errorf("%w: %s", err, advice)
		}
		dirs = nil
		for _, c := range v1Controllers {
			dirs = append(dirs, h.roots[c])
		}
	}
	for _, dir := range dirs {
		if err := unix.Access(dir, unix.W_OK); err != nil {
			return fmt.Errorf("%s: %w: %s", dir, err, advice)
		}
	}
	return nil
}
