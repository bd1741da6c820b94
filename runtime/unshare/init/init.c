/*
 * petitpont-init: PID 1 of a box. Reaps, supervises the services, and starts programs when the runtime asks.
 *
 * It is started by the stage with everything already taken away: namespaces, capabilities, no_new_privs, seccomp.
 * Descriptors it is born with: 0-2 /dev/null, LISTEN the socket of the runtime, LOG the rings, PTS the devpts root,
 * GROUP the file that moves who writes 0 to it into the part of the cgroup that freezes: all but us and kept programs;
 * TMP, RUN and SHM are the roots of the box's tmpfs, which we only keep open: the runtime finds them with us.
 *
 * The dialogue: one connection, one command. A packet is a list of NUL-terminated fields; numbers are decimal.
 *   start  N {name uid gid signal ARGV ENV}*     -> ok                       ARGV and ENV are: count string*
 *   watch                                        -> (ended name status | again name)*   until the runtime closes
 *   stop   grace-ms sweep                        -> ok, once the services are gone; sweep kills all but kept programs
 *   status                                       -> ok {name pid ends status}*
 *   exec   flags uid gid rows cols dir ARGV ENV  -> pid N [pty master], exit CODE      descriptors: stdio, program
 * Closing an exec connection hangs up: SIGHUP to the session, SIGKILL five seconds later.
 * The tenant cannot reach the socket: its path is on the host, and the listener is not inherited by any service.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN = 3, LOG = 4, PTS = 5, GROUP = 6, TMP = 7, RUN = 8, SHM = 9, LAST = SHM };
enum { SERVICES = 8, CONNS = 96, PACKET = 1 << 17, RING = 4096, FDS = 4 };
enum { KEEP = 1, TTY = 2, PROGRAM = 4 }; /* flags of exec */
enum { BACKOFF_MIN = 1000, BACKOFF_MAX = 30000, HANGUP = 5000 }; /* milliseconds */

/* One ring per service, in memory shared with the runtime: it can read the last words of a box that is gone. */
struct ring {
	uint64_t total; /* bytes ever written; the newest RING of them are in data */
	char data[RING];
	char pad[RING - sizeof(uint64_t)];
};

struct service {
	char *name, **argv, **env;
	uid_t uid;
	gid_t gid;
	int signal;      /* how it wants to be asked to stop */
	pid_t pid;       /* 0: not running */
	int out;         /* its stdout and stderr, -1: closed */
	int status;      /* of the last end, as a shell counts */
	unsigned ends;
	int64_t born, again, backoff; /* again: when to start it anew, 0: never */
};

struct conn {
	int fd;          /* -1: hung up, or slot free when pid is 0 too */
	bool watch, keep;
	pid_t pid;       /* of exec */
	int64_t kill_at; /* after a hang-up */
};

struct fields { char *at, *end; };

static struct service services[SERVICES];
static int count;
static char *held; /* the start packet: names, argv and env of the services point into it */
static struct conn conns[CONNS];
static struct ring *rings;
static char packet[PACKET];
static struct { bool on, sweep; int fd, next; bool asked; int64_t until; } halt = { .fd = -1 };

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- fields: nothing is read past the end of the packet, and every string in it ends there ---- */

static char *next(struct fields *f) {
	if (f->at >= f->end) return NULL;
	char *s = f->at, *z = memchr(s, 0, (size_t)(f->end - s));
	if (!z) return NULL;
	f->at = z + 1;
	return s;
}

static bool number(struct fields *f, long low, long high, long *n) {
	char *s = next(f), *end;
	if (!s || !*s) return false;
	errno = 0;
	*n = strtol(s, &end, 10);
	return !errno && !*end && *n >= low && *n <= high;
}

/* list reads "count string*" into a NULL-terminated vector, which the caller frees. */
static char **list(struct fields *f, long least) {
	long n;
	if (!number(f, least, 4096, &n)) return NULL;
	char **v = calloc((size_t)n + 1, sizeof *v);
	for (long i = 0; v && i < n; i++)
		if (!(v[i] = next(f))) { free(v); return NULL; }
	return v;
}

/* ---- answers: a peer that does not read loses them; it never holds us up ---- */

static void answer(int to, int fd, const char *text, size_t n) {
	struct iovec io = { (void *)(uintptr_t)text, n };
	union { char buf[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } c = { 0 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	if (fd >= 0) {
		m.msg_control = c.buf, m.msg_controllen = sizeof c.buf;
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof fd);
	}
	(void)!sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say(int to, const char *word) { answer(to, -1, word, strlen(word) + 1); }

static void say_number(int to, int fd, const char *word, long n) {
	char b[64];
	int len = snprintf(b, sizeof b, "%s%c%ld", word, 0, n);
	answer(to, fd, b, (size_t)len + 1);
}

static void refuse(int to, const char *what) {
	char b[128];
	int len = snprintf(b, sizeof b, "error%c%s: %s", 0, what, strerror(errno));
	answer(to, -1, b, (size_t)len + 1);
}

static void tell(const char *event, const struct service *s) {
	char b[256];
	int len = snprintf(b, sizeof b, "%s%c%.64s%c%d", event, 0, s->name, 0, s->status);
	for (int i = 0; i < CONNS; i++)
		if (conns[i].watch && conns[i].fd >= 0) answer(conns[i].fd, -1, b, (size_t)len + 1);
}

/* ---- children ---- */

static void quit(const char *what, int code) {
	dprintf(2, "petitpont: %s: %s\n", what, strerror(errno));
	_exit(code);
}

/* fix_files makes our own number of open files, which the runtime changes, the child's for good: only ours can rise. */
static void fix_files(void) {
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r)) quit("open files", 126);
	r.rlim_max = r.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &r)) quit("open files", 126);
}

/* become turns a fresh child into the program. Everything of ours is close-on-exec. */
static void become(uid_t uid, gid_t gid, const char *dir, char **argv, char **env, int program, bool keep) {
	if (!keep && write(GROUP, "0", 1) != 1) quit("cgroup", 126);
	fix_files();
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (setgroups(1, &gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) quit("setuid", 126);
	if (chdir(dir)) quit(dir, 126);
	if (program >= 0) {
		syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
		quit("execveat", 126);
	}
	for (char **e = env; *e; e++) /* execvpe looks at our own PATH, which is not set */
		if (!strncmp(*e, "PATH=", 5)) setenv("PATH", *e + 5, 1);
	execvpe(argv[0], argv, env);
	quit(argv[0], errno == ENOENT ? 127 : 126);
}

static void launch(struct service *s) {
	int p[2];
	s->again = 0, s->born = now();
	if (s->out >= 0) close(s->out);
	s->out = -1;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK)) { s->again = now() + BACKOFF_MAX; return; }
	fcntl(p[1], F_SETFL, 0); /* only our end does not block */
	(void)!fchown(p[1], s->uid, s->gid); /* so that /dev/stderr can be opened again by name */
	s->pid = fork();
	if (s->pid == 0) {
		setsid();
		dup2(p[1], 1), dup2(p[1], 2);
		become(s->uid, s->gid, "/", s->argv, s->env, -1, false);
	}
	close(p[1]);
	if (s->pid < 0) { s->pid = 0, s->again = now() + s->backoff; close(p[0]); return; }
	s->out = p[0];
}

static void record(struct service *s) {
	static char b[16384];
	struct ring *r = &rings[s - services];
	ssize_t n = read(s->out, b, sizeof b);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) { close(s->out); s->out = -1; }
	for (ssize_t i = n > RING ? n - RING : 0; i < n; i++) r->data[(r->total + (uint64_t)i) % RING] = b[i];
	if (n > 0) __atomic_store_n(&r->total, r->total + (uint64_t)n, __ATOMIC_RELEASE);
}

static int shell_status(int w) { return WIFSIGNALED(w) ? 128 + WTERMSIG(w) : WEXITSTATUS(w); }

static void ended(struct service *s, int status) {
	if (s->out >= 0) record(s);
	s->pid = 0, s->status = status, s->ends++;
	if (!halt.on) {
		if (now() - s->born > BACKOFF_MAX) s->backoff = BACKOFF_MIN;
		s->again = now() + s->backoff;
		s->backoff = s->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : s->backoff * 2;
	}
	tell("ended", s);
}

static void release(struct conn *c) {
	if (c->fd >= 0) close(c->fd);
	*c = (struct conn){ .fd = -1 };
}

static void reap(void) {
	int w;
	for (pid_t p; (p = waitpid(-1, &w, WNOHANG)) > 0;) {
		for (int i = 0; i < count; i++)
			if (services[i].pid == p) ended(&services[i], shell_status(w));
		for (int i = 0; i < CONNS; i++)
			if (conns[i].pid == p) {
				if (conns[i].fd >= 0) say_number(conns[i].fd, -1, "exit", shell_status(w));
				release(&conns[i]);
			}
	}
}

/* ---- stop ---- */

static bool kept(pid_t p) {
	for (int i = 0; i < CONNS; i++)
		if (conns[i].keep && conns[i].pid == p) return true;
	return false;
}

/* each calls kill for every process that is not ours to keep, and counts them. */
static int each(int sig) {
	int n = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t p = atoi(e->d_name);
		if (p <= 1 || kept(p)) continue;
		n++, kill(p, sig);
	}
	if (d) closedir(d);
	return n;
}

/* sweep ends everything but kept programs. kill(-1) is atomic against fork, so a fork bomb stands still while we count. */
static void sweep(void) {
	for (int turn = 0; turn < 100; turn++) {
		kill(-1, SIGSTOP);
		int left = each(SIGKILL);
		for (int i = 0; i < CONNS; i++)
			if (conns[i].keep && conns[i].pid > 0) kill(conns[i].pid, SIGCONT);
		reap();
		if (!left) return;
		usleep(2000);
	}
}

/* halting asks the services to end, last first, one after the other, until the grace is over. */
static void halting(void) {
	for (; halt.next >= 0; halt.next--, halt.asked = false) {
		struct service *s = &services[halt.next];
		if (!s->pid) continue;
		if (now() >= halt.until) { kill(s->pid, SIGKILL); continue; }
		if (!halt.asked) kill(s->pid, s->signal), halt.asked = true;
		return;
	}
	if (halt.sweep) sweep();
	halt.on = false;
	for (int i = 0; i < count; i++) {
		if (services[i].out >= 0) close(services[i].out);
		free(services[i].argv), free(services[i].env);
	}
	count = 0;
	if (halt.fd >= 0) { say(halt.fd, "ok"); close(halt.fd); }
	halt.fd = -1;
}

/* ---- commands; each returns true when the connection stays ---- */

static bool do_stop(struct conn *c, struct fields *f) {
	long grace, swept;
	if (!number(f, 0, LONG_MAX / 2, &grace) || !number(f, 0, 1, &swept) || halt.on) { errno = EINVAL; refuse(c->fd, "stop"); return false; }
	for (int i = 0; i < count; i++) services[i].again = 0;
	halt.on = true, halt.sweep = swept, halt.next = count - 1, halt.asked = false;
	halt.until = now() + grace, halt.fd = c->fd;
	c->fd = -1; /* it is halt's now */
	return false;
}

static bool parse_service(struct fields *f, struct service *s) {
	long uid, gid, sig;
	*s = (struct service){ .name = next(f), .out = -1, .backoff = BACKOFF_MIN };
	if (!s->name || !number(f, 0, 65535, &uid) || !number(f, 0, 65535, &gid) || !number(f, 1, 64, &sig)) return false;
	s->uid = (uid_t)uid, s->gid = (gid_t)gid, s->signal = (int)sig;
	if (!(s->argv = list(f, 1))) return false;
	if ((s->env = list(f, 0))) return true;
	free(s->argv);
	return false;
}

static bool do_start(struct conn *c, char *copy, size_t n) {
	struct fields f = { copy, copy + n };
	long many;
	int got = 0;
	next(&f);
	if (count || halt.on) errno = EBUSY;
	else if (!number(&f, 0, SERVICES, &many)) errno = EINVAL;
	else {
		while (got < many && parse_service(&f, &services[got])) got++;
		if (got == many) {
			free(held);
			held = copy, count = got;
			memset(rings, 0, SERVICES * sizeof *rings);
			for (int i = 0; i < count; i++) launch(&services[i]);
			say(c->fd, "ok");
			return false;
		}
		while (got--) free(services[got].argv), free(services[got].env);
		errno = EINVAL;
	}
	refuse(c->fd, "start");
	free(copy);
	return false;
}

static bool do_status(struct conn *c) {
	char b[2048];
	int n = snprintf(b, sizeof b, "ok") + 1;
	for (int i = 0; i < count; i++) {
		struct service *s = &services[i];
		n += snprintf(b + n, sizeof b - (size_t)n, "%.64s%c%d%c%u%c%d", s->name, 0, s->pid, 0, s->ends, 0, s->status) + 1;
	}
	answer(c->fd, -1, b, (size_t)n);
	return false;
}

/* open_pty makes a pty from the devpts root that the stage left us: no path of the tenant is followed. */
static int open_pty(long rows, long cols, int *peer) {
	struct winsize w = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };
	int unlock = 0, m = openat(PTS, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (m < 0) return -1;
	if (!ioctl(m, TIOCSPTLCK, &unlock) && !ioctl(m, TIOCSWINSZ, &w) &&
	    (*peer = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0) return m;
	close(m);
	return -1;
}

static bool do_exec(struct conn *c, struct fields *f, const int *fds, int nfds) {
	long flags, uid, gid, rows, cols;
	int master = -1, peer = -1, program = -1;
	char *dir, **argv = NULL, **env = NULL;
	bool good = number(f, 0, 7, &flags) && number(f, 0, 65535, &uid) && number(f, 0, 65535, &gid) &&
		number(f, 0, 65535, &rows) && number(f, 0, 65535, &cols) && (dir = next(f)) && (argv = list(f, 1)) && (env = list(f, 0)) &&
		nfds == (flags & TTY ? 0 : 3) + (flags & PROGRAM ? 1 : 0);
	if (!good) errno = EINVAL;
	else if (flags & TTY && (master = open_pty(rows, cols, &peer)) < 0) good = false;
	else if (peer >= 0) (void)!fchown(peer, (uid_t)uid, 5);
	if (good && flags & PROGRAM) program = fds[nfds - 1];
	pid_t p = good ? fork() : -1;
	if (p == 0) {
		setsid();
		for (int i = 0; i < 3; i++) dup2(peer >= 0 ? peer : fds[i], i);
		if (peer >= 0) ioctl(0, TIOCSCTTY, 0);
		become((uid_t)uid, (gid_t)gid, dir, argv, env, program, flags & KEEP);
	}
	if (p < 0) refuse(c->fd, "exec");
	else c->pid = p, c->keep = flags & KEEP, say_number(c->fd, master, "pid", p);
	if (master >= 0) close(master), close(peer);
	free(argv), free(env);
	return p > 0;
}

static bool command(struct conn *c, size_t n, const int *fds, int nfds) {
	struct fields f = { packet, packet + n };
	char *word = next(&f);
	if (!word) return false;
	if (!strcmp(word, "exec")) return do_exec(c, &f, fds, nfds);
	if (!strcmp(word, "stop")) return do_stop(c, &f);
	if (!strcmp(word, "status")) return do_status(c);
	if (!strcmp(word, "watch")) { say(c->fd, "ok"); return c->watch = true; }
	if (!strcmp(word, "start")) {
		char *copy = malloc(n);
		return copy && do_start(c, memcpy(copy, packet, n), n);
	}
	errno = ENOSYS;
	refuse(c->fd, "command");
	return false;
}

/* hear reads what a connection has: its one command, or its end. */
static void hear(struct conn *c) {
	union { char buf[CMSG_SPACE(FDS * sizeof(int))]; struct cmsghdr align; } a;
	struct iovec io = { packet, sizeof packet };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = a.buf, .msg_controllen = sizeof a.buf };
	int fds[FDS], nfds = 0;
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
	for (struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			nfds = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(h), (size_t)nfds * sizeof(int));
		}
	bool fresh = !c->pid && !c->watch && n > 0 && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	bool stays = fresh && command(c, (size_t)n, fds, nfds);
	for (int i = 0; i < nfds; i++) close(fds[i]);
	if (stays) return;
	if (!c->pid) { release(c); return; }
	close(c->fd); /* the runtime hung up on a program */
	c->fd = -1, c->kill_at = now() + HANGUP;
	kill(-c->pid, SIGHUP);
}

static void welcome(void) {
	int fd = accept4(LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) return;
	for (int i = 0; i < CONNS; i++)
		if (conns[i].fd < 0 && !conns[i].pid) { conns[i] = (struct conn){ .fd = fd }; return; }
	close(fd);
}

/* ---- the loop ---- */

/* due does what time asks for, and says how long poll may sleep. */
static int due(void) {
	int64_t t = now(), first = INT_MAX;
	for (int i = 0; i < count; i++)
		if (services[i].again && services[i].again <= t) { launch(&services[i]); tell("again", &services[i]); }
		else if (services[i].again && services[i].again - t < first) first = services[i].again - t;
	for (int i = 0; i < CONNS; i++)
		if (conns[i].kill_at && conns[i].kill_at <= t) { kill(-conns[i].pid, SIGKILL); conns[i].kill_at = 0; }
		else if (conns[i].kill_at && conns[i].kill_at - t < first) first = conns[i].kill_at - t;
	if (halt.on) {
		halting();
		if (halt.on && halt.until - t < first) first = halt.until > t ? halt.until - t : 0;
	}
	return first == INT_MAX ? -1 : (int)first;
}

static void loop(int children) {
	struct pollfd p[2 + SERVICES + CONNS];
	for (;;) {
		int wait = due(), n = 2;
		p[0] = (struct pollfd){ .fd = children, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = LISTEN, .events = POLLIN };
		for (int i = 0; i < SERVICES; i++) p[n++] = (struct pollfd){ .fd = i < count ? services[i].out : -1, .events = POLLIN };
		for (int i = 0; i < CONNS; i++) p[n++] = (struct pollfd){ .fd = conns[i].fd, .events = POLLIN };
		if (poll(p, (nfds_t)n, wait) < 0) continue;
		for (int i = 0; i < count; i++)
			if (p[2 + i].revents) record(&services[i]);
		for (int i = 0; i < CONNS; i++)
			if (p[2 + SERVICES + i].revents && conns[i].fd == p[2 + SERVICES + i].fd) hear(&conns[i]);
		if (p[1].revents) welcome();
		if (p[0].revents) {
			struct signalfd_siginfo s;
			while (read(children, &s, sizeof s) > 0) continue;
			reap();
		}
	}
}

int main(void) {
	sigset_t chld;
#ifndef WITHOUT_HIDING /* tests build us without, to see that the probe notices */
	prctl(PR_SET_DUMPABLE, 0); /* RULE ENTER: the tenant's root can neither trace us nor look into /proc/1 */
#endif
	/* Small pages for all that runs here: Debian's kernel gives huge ones unasked, and a site that uses a part of each
	 * pays for the whole, MariaDB 5.5 MiB of its 48. Who asks for them (madvise) goes without; a program may undo this. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	int children = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	rings = mmap(NULL, SERVICES * sizeof *rings, PROT_READ | PROT_WRITE, MAP_SHARED, LOG, 0);
	if (children < 0 || rings == MAP_FAILED) return 1;
#ifndef WITHOUT_CLOSING
	for (int fd = LISTEN; fd <= LAST; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
	for (int i = 0; i < CONNS; i++) conns[i].fd = -1;
	for (int i = 0; i < SERVICES; i++) services[i].out = -1;
	loop(children);
}
