/* probe tries what no program of a site may do, and prints the name of everything that was not refused (SAFETY S9). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void refused(const char *what, long r, int a, int b) {
	if (r < 0 && (errno == a || errno == b)) return;
	printf("%s: %s\n", what, r < 0 ? strerror(errno) : "allowed");
	fflush(stdout);
}

#define DENY(what, ...) (errno = 0, refused(what, syscall(__VA_ARGS__), EPERM, EACCES))

static void spaces(const char *what, long flag) {
	errno = 0;
	long p = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
	if (p == 0) _exit(0);
	refused(what, p, EPERM, EPERM);
	if (p > 0) waitpid((pid_t)p, NULL, 0);
}

int main(void) {
	char attr[256] = { 0 };
	struct clone_args c = { .exit_signal = SIGCHLD };
	spaces("clone user", CLONE_NEWUSER);
	spaces("clone user+mount", CLONE_NEWUSER | CLONE_NEWNS);
	spaces("clone net", CLONE_NEWNET);
	errno = 0;
	long p = syscall(SYS_clone3, &c, sizeof c);
	if (p == 0) _exit(0);
	refused("clone3", p, ENOSYS, ENOSYS);
	DENY("unshare user", SYS_unshare, CLONE_NEWUSER);
	DENY("unshare mount", SYS_unshare, CLONE_NEWNS);
	DENY("unshare time", SYS_unshare, 0x80);
	DENY("mount tmpfs", SYS_mount, "none", "/tmp", "tmpfs", 0, 0);
	DENY("mount bind", SYS_mount, "/etc", "/tmp", 0, 4096, 0);
	DENY("umount", SYS_umount2, "/proc/sys", 2);
	DENY("pivot_root", SYS_pivot_root, ".", ".");
	DENY("fsopen", SYS_fsopen, "tmpfs", 0);
	DENY("open_tree", SYS_open_tree, AT_FDCWD, "/", 1);
	DENY("move_mount", SYS_move_mount, -1, "", -1, "", 4);
	DENY("mount_setattr", SYS_mount_setattr, AT_FDCWD, "/", 0, attr, 32);
	DENY("setns", SYS_setns, 0, 0);
	DENY("bpf", SYS_bpf, 5, attr, sizeof attr);
	DENY("io_uring", SYS_io_uring_setup, 1, attr);
	DENY("userfaultfd", SYS_userfaultfd, 1);
	DENY("perf", SYS_perf_event_open, attr, 0, -1, -1, 0);
	DENY("keyctl", SYS_keyctl, 0, -3, 1);
	DENY("add_key", SYS_add_key, "user", "x", "x", 1, -2);
	DENY("ptrace", SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
	DENY("process_vm_readv", SYS_process_vm_readv, 1, 0, 0, 0, 0, 0);
	DENY("open_by_handle_at", SYS_open_by_handle_at, 0, attr, 0);
	DENY("fanotify", SYS_fanotify_init, 0, 0);
	DENY("sethostname", SYS_sethostname, "x", 1);
	DENY("reboot", SYS_reboot, 0xfee1dead, 672274793, 0, 0);
	DENY("kexec", SYS_kexec_load, 0, 0, 0, 0);
	DENY("init_module", SYS_init_module, attr, 1, "");
	DENY("swapon", SYS_swapon, "/etc/passwd", 0);
	DENY("settimeofday", SYS_settimeofday, 0, 0);
	DENY("mknod disk", SYS_mknodat, AT_FDCWD, "/tmp/disk", 0060666, 0x0700);
	for (int family = 0; family < 46; family++) {
		char name[32];
		if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK) continue;
		snprintf(name, sizeof name, "socket family %d", family);
		for (int type = 1; type <= 5; type++) errno = 0, refused(name, socket(family, type, 0), EAFNOSUPPORT, EAFNOSUPPORT);
	}
	for (int protocol = 1; protocol < 23; protocol++)
		errno = 0, refused("netlink", socket(AF_NETLINK, SOCK_RAW, protocol), EAFNOSUPPORT, EAFNOSUPPORT);
	errno = 0, refused("raw socket", socket(AF_INET, SOCK_RAW, 1), EPERM, EPERM);
	/* the family is an int: what stands above it must not hide it */
	errno = 0, refused("socket with high bits", syscall(SYS_socket, 0x100000000ul | AF_PACKET, SOCK_RAW, 0), EAFNOSUPPORT, EAFNOSUPPORT);
	refused("/proc/sys/user", open("/proc/sys/user/max_user_namespaces", O_WRONLY), EROFS, EACCES);
	refused("/proc/sys/fs", open("/proc/sys/fs/mqueue/queues_max", O_WRONLY), EROFS, EACCES); /* root's, but for the mount */
	refused("/proc/sysrq-trigger", open("/proc/sysrq-trigger", O_WRONLY), EROFS, ENOENT);
	int core = open("/proc/kcore", O_RDONLY); /* hidden: absent, or always empty */
	refused("/proc/kcore", core >= 0 && read(core, attr, 1) > 0 ? 1 : (errno = EPERM, -1), EPERM, EACCES);
	refused("/dev", open("/dev/new", O_CREAT | O_WRONLY, 0600), EROFS, EACCES);
	refused("/sys", open("/sys/kernel/uevent_helper", O_WRONLY), EROFS, ENOENT);
	refused("memory of init", open("/proc/1/mem", O_RDWR), EACCES, EPERM);
	refused("descriptors of init", open("/proc/1/fd/3", O_RDWR), EACCES, EPERM);
	puts("done");
	return 0;
}
