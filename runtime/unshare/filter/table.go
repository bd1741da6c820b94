package filter

// group is one theme of the table: calls that are decided together, and why.
type group struct {
	theme string // what the group is for; refused groups are also the names of switches
	why   string
	calls string // names, separated by spaces; a name another architecture lacks is left out there
}

// allowed is every call a program of a site may make whatever its arguments. Together with checked it is what nginx,
// Apache, Caddy, PHP, Python, Node.js, MariaDB, PostgreSQL, apt, git, rsync and a shell ask for, and the older and
// newer forms of the same: libraries change which form they use, never what they need.
var allowed = []group{
	{
		"files", "reading and writing its own tree; what may be touched is decided by owner and mode",
		`read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek open openat openat2 creat close
		close_range dup dup2 dup3 fcntl flock fsync fdatasync sync_file_range syncfs truncate ftruncate fallocate
		fadvise64 readahead sendfile copy_file_range splice tee`,
	},
	{
		"names", "the same for folders, links and attributes",
		`stat fstat lstat newfstatat fstatat statx statfs fstatfs access faccessat faccessat2 getdents getdents64 getcwd chdir
		fchdir mkdir mkdirat rmdir rename renameat renameat2 link linkat unlink unlinkat symlink symlinkat readlink
		readlinkat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask utime utimes futimesat utimensat
		setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr
		lremovexattr fremovexattr mknod mknodat chroot`,
	}, // mknod: FIFOs and sockets; devices need rights of the host's
	{
		"memory", "of its own; how much is the cgroup's to say",
		`mmap mprotect munmap mremap brk madvise mincore msync mlock mlock2 munlock mlockall munlockall mseal
		memfd_create membarrier pkey_alloc pkey_free pkey_mprotect map_shadow_stack get_mempolicy set_mempolicy mbind`,
	}, // the last three: MariaDB and PostgreSQL place their pools
	{
		"processes", "starting, waiting for and ending its own",
		`fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill getpid getppid gettid getpgid setpgid
		getpgrp getsid setsid pidfd_open pidfd_send_signal restart_syscall set_tid_address prctl arch_prctl set_robust_list
		get_robust_list rseq getcpu getrusage times`,
	},
	{
		"identity", "masters drop to their workers' users; the user namespace bounds what they can become",
		`getuid geteuid getgid getegid setuid setgid setreuid setregid setresuid getresuid setresgid getresgid setfsuid
		setfsgid getgroups setgroups capget capset`,
	},
	{
		"signals", "",
		`rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo
		rt_sigsuspend sigaltstack pause alarm getitimer setitimer signalfd signalfd4`,
	},
	{
		"waiting", "",
		`poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd
		eventfd2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch futex futex_waitv futex_wake futex_wait
		futex_requeue sched_yield nanosleep clock_nanosleep timer_create timer_settime timer_gettime timer_getoverrun
		timer_delete timerfd_create timerfd_settime timerfd_gettime`,
	},
	{"clocks", "reading them", `time gettimeofday clock_gettime clock_getres`},
	{
		"scheduling", "of itself; anything better than the default needs rights nobody here has",
		`sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max
		sched_get_priority_min sched_rr_get_interval sched_setaffinity sched_getaffinity sched_setattr sched_getattr
		getpriority setpriority ioprio_set ioprio_get getrlimit setrlimit`,
	},
	{
		"sockets", "of the families that checked lets through",
		`connect accept accept4 bind listen shutdown getsockname getpeername getsockopt sendto recvfrom
		sendmsg recvmsg sendmmsg recvmmsg`,
	},
	{
		"pipes and shared memory", "between its own programs; the IPC namespace is its own",
		`pipe pipe2 shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl
		mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`,
	},
	{
		"itself and the system", "what anybody may know, and more locks for whoever wants them",
		`uname sysinfo getrandom seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr
		lsm_list_modules`,
	},
}

// refused is what the kernel answers EPERM to, by theme: it exists, and a program is told that it may not. The theme
// is the name of the switch by which a test opens it again.
var refused = []group{
	{
		Mounts, "the tree stands when the first byte of the tenant runs, and stays as it is (RULE BUILD); most escapes of the last ten years began with a mount (CVE-2022-0185 fsconfig, CVE-2022-0492 release_agent, CVE-2024-21626)",
		`mount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr statmount listmount`,
	},
	{
		Namespaces, "a new user namespace gives its maker every right over a kernel surface that is otherwise closed (CVE-2022-0185, CVE-2022-34918, CVE-2024-1086 all start there); clone and unshare are checked by their flags",
		`setns`,
	},
	{
		Machine, "the host's own: modules, kernel, clock, swap, ports, name, quota, accounting, log",
		`reboot kexec_load kexec_file_load create_module init_module finit_module delete_module swapon swapoff acct quotactl
		quotactl_fd syslog iopl ioperm vhangup settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname
		nfsservctl`,
	},
	{
		BPF, "programs inside the kernel, checked by the part of it with the longest list of mistakes (CVE-2021-3490, CVE-2023-2163)",
		`bpf`,
	},
	{
		IOURing, "work the kernel does past this filter; most of the kernel's local exploits of 2022 and 2023 used it",
		`io_uring_setup io_uring_enter io_uring_register`,
	},
	{
		Keys, "keyrings are not divided by namespaces: one's keys would be found by the same number in another's (CVE-2016-0728, CVE-2022-2959)",
		`keyctl add_key request_key`,
	},
	{
		Tracing, "one program of a site looking into another's memory: petitpont's own run beside it (RULE ENTER)",
		`ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise process_mrelease`,
	},
	{
		Pages, "pages of files that all sites have in common, the template's: whether others have just read one (CVE-2025-21691), and giving pages away instead of copying them, by which read-only ones were written before (CVE-2008-0600, CVE-2026-31431)",
		`cachestat vmsplice`,
	},
	{
		Segments, "descriptor tables of 16-bit programs and a second order for a mapping's pages: nobody has used them for years but exploits (CVE-2015-5157, CVE-2017-17053)",
		`modify_ldt set_thread_area get_thread_area remap_file_pages set_mempolicy_home_node`,
	},
	{
		Surface, "counters, page faults, other people's file handles and pages: host-wide things, and tools of exploits (userfaultfd stops the kernel where an attacker wants it, CVE-2021-22555)",
		`perf_event_open userfaultfd fanotify_init fanotify_mark open_by_handle_at name_to_handle_at lookup_dcookie
		move_pages migrate_pages memfd_secret uretprobe lsm_set_self_attr`,
	},
}

// absent is what answers ENOSYS, like every number that stands nowhere here: what the kernel dropped long ago, what
// libc falls back from, and what takes from a number that all sites share.
var absent = []group{
	{Hidden, "clone3 takes its flags from memory, where no filter can look: libc falls back to clone", `clone3`},
	{
		Shared, "fs.aio-max-nr counts the whole host's, and sync writes back the disks of all (RULE BUDGET): MariaDB and nginx go on without the one, and whoever means its own files has fsync and syncfs",
		`io_setup io_destroy io_getevents io_pgetevents io_submit io_cancel sync`,
	},
	{
		"gone", "no longer in the kernel, or never was",
		`uselib ustat sysfs _sysctl get_kernel_syms query_module getpmsg putpmsg afs_syscall tuxcall security
		epoll_ctl_old epoll_wait_old vserver arch_specific_syscall`,
	},
}
