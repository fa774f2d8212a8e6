#include "plain_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int plain_file_open(const char *path, struct stat *s) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return -1;
  int error = fstat(fd, s) != 0 ? errno : S_ISREG(s->st_mode) ? 0 : S_ISDIR(s->st_mode) ? EISDIR : EEXIST;
  if (!error) return fd;
  close(fd);
  errno = error;
  return -1;
}

FILE *plain_file_stream(const char *path) {
  struct stat s;
  int fd = plain_file_open(path, &s);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  if (fd >= 0 && !file) close(fd);
  return file;
}

struct passwd *plain_file_user(const char *name) {
  struct passwd *user = NULL;
  FILE *file = plain_file_stream("/etc/passwd");
  if (!file) return NULL;
  while ((user = fgetpwent(file)) && strcmp(user->pw_name, name) != 0) continue;
  fclose(file);
  if (!user) errno = 0;
  return user;
}
