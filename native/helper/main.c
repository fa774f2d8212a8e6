// banger-helper serve                                  with a socket from systemd (sd_listen_fds(3))
// banger-helper serve SOCKET [RUN-DIRECTORY SETTINGS]  with a socket of its own, in the foreground
//
// Makes for allowed users what takes root: overlays, and the parts beside it (dispatch.c). The record and users' claims are
// below RUN-DIRECTORY, /run/banger if not said.
#include "banger-helper.h"
#include "common/constants.h"
#include "common/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_PASSED_FD 3

static int fail(const char *what) {
  fprintf(stderr, "banger-helper: %s: %s\n", what, strerror(errno));
  return 71;
}

static int usage(void) {
  fprintf(stderr, "usage: banger-helper serve [SOCKET [RUN-DIRECTORY SETTINGS]]\n");
  return 64;
}

// The socket that systemd holds, or -1.
static int passed_socket(void) {
  const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
  if (process == NULL || count == NULL || strtol(process, NULL, 10) != getpid() || strcmp(count, "1") != 0) return -1;
  return fcntl(FIRST_PASSED_FD, F_SETFD, FD_CLOEXEC) == 0 ? FIRST_PASSED_FD : -1;
}

static int open_state(const char *run_directory, const char *settings) {
  char record[PATH_MAX];
  if (mkdir(run_directory, 0755) != 0 && errno != EEXIST) return fail(run_directory);
  settings_use(settings);
  claims_use(run_directory);
  snprintf(record, sizeof record, "%s/record", run_directory);
  if (record_open(record) != 0) return fail(record);
  const struct part *const *parts;
  size_t count = dispatch_parts(&parts);
  for (size_t i = 0; i < count; i++)
    if (parts[i]->resume != NULL) parts[i]->resume();
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc == 4 || argc > 5 || strcmp(argv[1], "serve") != 0) return usage();
  const char *path = argc > 2 ? argv[2] : NULL;
  // Descriptors 0 to 2 must be open, or a user's file could take the place of the log.
  for (int fd = open("/dev/null", O_RDWR | O_CLOEXEC); fd >= 0; fd = open("/dev/null", O_RDWR | O_CLOEXEC)) {
    if (fd > 2) {
      close(fd);
      break;
    }
  }
  setvbuf(stderr, NULL, _IOLBF, 512);
  umask(0022);
  if (geteuid() != 0) {
    errno = EPERM;
    return fail("it must be root");
  }
  int listener = path == NULL ? passed_socket() : -1;
  if (path == NULL && listener < 0) return usage();
  int status = open_state(argc == 5 ? argv[3] : HELPER_RUN_DIRECTORY, argc == 5 ? argv[4] : HELPER_CONFIG_PATH);
  if (status != 0) return status;
  // Anyone may connect: the settings decide who may use it.
  if (path != NULL && (listener = lines_listen(path, 0111)) < 0) return fail(path);
  if (serve(listener, path == NULL) != 0) status = fail("waiting failed");
  if (path != NULL) unlink(path);
  return status;
}
