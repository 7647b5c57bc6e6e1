/* Tries one thing and says how it went: "done", or the name of the error.
   attempts NAME GIVEN MADE PRIVATE VICTIM PORT
   GIVEN is a file it may read, MADE a folder it may write, PRIVATE a file it may not see,
   VICTIM another process, PORT a port on loopback where somebody listens. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *given, *made, *private;
static char in_made[4096], beside_private[4096];
static pid_t victim;
static int port;

static int opens(const char *path, int flags) {
  int fd = open(path, flags, 0600);
  if (fd < 0) return -1;
  char byte;
  if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC)) return read(fd, &byte, 1) < 0 ? -1 : 0;
  return 0;
}

static int connects(int family, int type, int protocol, int to) {
  int fd = socket(family, type, protocol);
  if (fd < 0) return -1;
  if (family == AF_INET6) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(to), .sin6_addr = in6addr_loopback};
    int failed = connect(fd, (void *)&v6, sizeof v6);
    return failed && errno == ECONNREFUSED ? 0 : failed;
  }
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(to), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (type == SOCK_DGRAM) return sendto(fd, "x", 1, 0, (void *)&v4, sizeof v4) < 0 ? -1 : 0;
  return connect(fd, (void *)&v4, sizeof v4);
}

static int sends_fast(int to) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(to), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  return sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&v4, sizeof v4) < 0 ? -1 : 0;
}

static int names_a_socket(const char *path, int abstract) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  snprintf(un.sun_path + abstract, sizeof un.sun_path - 1, "%s", path);
  return bind(fd, (void *)&un, sizeof un);
}

static int forks(void) {
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) _exit(0);
  return waitpid(child, NULL, 0) < 0 ? -1 : 0;
}

static void *nothing(void *it) { return it; }

static int makes_a_thread(void) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, nothing, NULL);
  if (error) { errno = error; return -1; }
  return pthread_join(thread, NULL);
}

static int traces(void) {
  if (ptrace(PTRACE_SEIZE, victim, 0, 0)) return -1;
  return 0;
}

static int reads_memory(void) {
  char byte;
  struct iovec to = {&byte, 1}, from = {&victim, 1};
  long read = syscall(SYS_process_vm_readv, victim, &to, 1, &from, 1, 0);
  return read < 0 && errno != EFAULT ? -1 : 0; /* EFAULT: it looked */
}

static int reads_environment(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/environ", victim);
  return opens(path, O_RDONLY);
}

static int runs_from_memory(void) {
  int fd = memfd_create("x", 0);
  return fd < 0 ? -1 : 0;
}

static int owns_signals(void) {
  int ends[2];
  if (pipe(ends)) return -1;
  return fcntl(ends[0], F_SETOWN, victim);
}

static int opens_by_struct(void) {
  struct { unsigned long long flags, mode, resolve; } how = {O_RDONLY, 0, 0};
  return syscall(SYS_openat2, AT_FDCWD, given, &how, sizeof how) < 0 ? -1 : 0;
}

static int starts_a_shell(void) {
  execl("/bin/sh", "sh", "-c", "echo done", (char *)NULL);
  return -1;
}

static int sets_limits(void) {
  struct rlimit limit;
  return syscall(SYS_prlimit64, victim, RLIMIT_NOFILE, NULL, &limit);
}

static int makes_io_uring(void) {
  struct io_uring_params parameters = {0};
  return syscall(SYS_io_uring_setup, 1, &parameters) < 0 ? -1 : 0;
}

static int renames(void) {
  char other[4200];
  snprintf(other, sizeof other, "%s.moved", in_made);
  if (opens(in_made, O_WRONLY | O_CREAT)) return -1;
  if (rename(in_made, other)) return -1;
  return unlink(other);
}

static int lists(const char *path) {
  DIR *folder = opendir(path);
  return folder ? 0 : -1;
}

static int attempt(const char *name) {
#define TRY(what, it) if (!strcmp(name, what)) return (it)
  /* What it is given. */
  TRY("read the input", opens(given, O_RDONLY));
  TRY("write an output", opens(in_made, O_WRONLY | O_CREAT | O_TRUNC));
  TRY("rename an output", renames());
  TRY("make a folder for outputs", mkdir(in_made, 0700) || rmdir(in_made) ? -1 : 0);
  TRY("make a thread", makes_a_thread());
  TRY("connect to the port", connects(AF_INET, SOCK_STREAM, 0, port));
  /* Files. */
  TRY("read a private file", opens(private, O_RDONLY));
  TRY("read the users", opens("/etc/passwd", O_RDONLY));
  TRY("list a private folder", lists("/etc"));
  TRY("write the input", opens(given, O_WRONLY));
  TRY("empty the input", opens(given, O_RDONLY | O_TRUNC));
  TRY("empty a private file", truncate(private, 1));
  TRY("write beside a private file", opens(beside_private, O_WRONLY | O_CREAT));
  TRY("remove a private file", unlink(private));
  TRY("move a private file", rename(private, in_made));
  TRY("link a private file", link(private, in_made));
  TRY("put a link in the way", symlink(private, in_made));
  TRY("put a pipe in the way", mkfifo(in_made, 0600));
  TRY("open a private file to all", chmod(private, 0644));
  TRY("mark a private file", setxattr(private, "user.x", "x", 1, 0));
  TRY("open by a structure", opens_by_struct());
  TRY("watch a private folder", syscall(SYS_inotify_init1, 0) < 0 ? -1 : 0);
  /* Programs. */
  TRY("start a shell", starts_a_shell());
  TRY("fork", forks());
  TRY("run from memory", runs_from_memory());
  TRY("leave the group", setsid() < 0 ? -1 : 0);
  TRY("outlive the parent", prctl(PR_SET_PDEATHSIG, 0));
  /* The network. */
  TRY("connect by TCP", connects(AF_INET, SOCK_STREAM, 0, port));
  TRY("connect by TCP over IPv6", connects(AF_INET6, SOCK_STREAM, 0, port));
  TRY("connect by multipath TCP", connects(AF_INET, SOCK_STREAM, 262, port));
  TRY("connect by sending", sends_fast(port));
  TRY("send by UDP", connects(AF_INET, SOCK_DGRAM, 0, port));
  TRY("ask the kernel for routes", socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? -1 : 0);
  TRY("name a socket", names_a_socket(in_made, 0));
  TRY("name an abstract socket", names_a_socket("reelway-test", 1));
  /* Other processes. */
  TRY("signal another process", kill(victim, SIGCONT));
  TRY("signal a thread of another process", syscall(SYS_tgkill, victim, victim, SIGCONT));
  TRY("have another process signalled", owns_signals());
  TRY("trace another process", traces());
  TRY("read the memory of another process", reads_memory());
  TRY("read the environment of another process", reads_environment());
  TRY("ask for the limits of another process", sets_limits());
  TRY("take a handle of another process", syscall(SYS_pidfd_open, victim, 0) < 0 ? -1 : 0);
  TRY("share memory by number", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0 ? -1 : 0);
  /* The kernel. */
  TRY("make a user namespace", unshare(CLONE_NEWUSER));
  TRY("mount", mount("none", made, "tmpfs", 0, NULL));
  TRY("set up io_uring", makes_io_uring());
  TRY("load a program into the kernel", syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM ? -1 : 0);
  TRY("keep a key", syscall(SYS_add_key, "user", "x", "x", 1, -2) < 0 ? -1 : 0);
  TRY("make a call nobody knows", syscall(4000) < 0 && errno == ENOSYS ? -1 : 0);
  fprintf(stderr, "no attempt is called %s\n", name);
  exit(2);
}

int main(int count, char **arguments) {
  if (count != 7) return 2;
  given = arguments[2], made = arguments[3], private = arguments[4];
  victim = atoi(arguments[5]), port = atoi(arguments[6]);
  snprintf(in_made, sizeof in_made, "%s/made", made);
  snprintf(beside_private, sizeof beside_private, "%s.beside", private);
  signal(SIGPIPE, SIG_IGN);
  puts(attempt(arguments[1]) ? strerrorname_np(errno) : "done");
  return 0;
}
