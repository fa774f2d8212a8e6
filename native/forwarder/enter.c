// Becomes a program inside the namespace: joins and execs, so that the pid stays the caller's.
#include "forwarder.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int join(const char *pid, const char *kind, int type) {
  char theirs[64], ours[64];
  struct stat a, b;
  snprintf(theirs, sizeof theirs, "/proc/%.16s/ns/%s", pid, kind);
  snprintf(ours, sizeof ours, "/proc/self/ns/%s", kind);
  int fd = open(theirs, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &a) != 0 || stat(ours, &b) != 0) return -1;
  // If the pid belongs to another process by now, a VMM must not run in the host's own network.
  if (a.st_ino == b.st_ino && a.st_dev == b.st_dev) {
    errno = ESRCH;
    return -1;
  }
  int result = setns(fd, type);
  KEEPING_ERRNO(close(fd));
  return result;
}

int enter_main(bool admin, const char *pid, char **argv) {
  if (strspn(pid, "0123456789") != strlen(pid) || argv[0] == NULL) {
    fprintf(stderr, "banger-forwarder: bad arguments of enter\n");
    return 64;
  }
  if (join(pid, "user", CLONE_NEWUSER) != 0 || join(pid, "net", CLONE_NEWNET) != 0) {
    fprintf(stderr, "banger-forwarder: cannot join the namespace of process %s: %s\n", pid, strerror(errno));
    return 71;
  }
  if (!admin && (drop_all_capabilities() != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)) {
    fprintf(stderr, "banger-forwarder: cannot drop capabilities: %s\n", strerror(errno));
    return 71;
  }
  execvp(argv[0], argv);
  fprintf(stderr, "banger-forwarder: %s: %s\n", argv[0], strerror(errno));
  return errno == ENOENT ? 127 : 126;
}
