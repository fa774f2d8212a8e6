// /etc/banger/helper.conf: a setting a line, a name and what it is set to; `allow UID` lets a user in, and may come again and
// again. Empty lines and those that begin with # mean nothing. Other parts have settings of their own.
#include "banger-helper.h"
#include "common/constants.h"
#include "common/errors.h"
#include "common/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_TEXT 65536

static const char *settings_path = HELPER_CONFIG_PATH;
// Each line ends with a zero byte; one more is behind the last.
static char text[MAX_TEXT + 1];
static size_t text_length;

void settings_use(const char *path) { settings_path = path; }

int settings_read(void) {
  text_length = 0;
  int fd = open(settings_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  struct stat file;
  ssize_t n = -1;
  if (fstat(fd, &file) == 0) {
    bool trusted = S_ISREG(file.st_mode) && file.st_uid == 0 && (file.st_mode & 022) == 0;
    if (trusted) n = read(fd, text, MAX_TEXT);
    else errno = EPERM;
  }
  KEEPING_ERRNO(close(fd));
  if (n < 0) return -1;
  text_length = (size_t)n;
  text[text_length] = '\0';
  for (size_t i = 0; i < text_length; i++)
    if (text[i] == '\n') text[i] = '\0';
  return 0;
}

// The setting that the line makes, or NULL if it does not set `name`.
static const char *setting_of(const char *line, const char *name) {
  line += strspn(line, " \t");
  size_t length = strlen(name);
  if (strncmp(line, name, length) != 0 || (line[length] != ' ' && line[length] != '\t')) return NULL;
  return line + length + strspn(line + length, " \t");
}

static const char *next_line(const char *line) {
  const char *next = line == NULL ? text : line + strlen(line) + 1;
  return next < text + text_length ? next : NULL;
}

const char *settings_value(const char *name) {
  for (const char *line = next_line(NULL); line != NULL; line = next_line(line)) {
    const char *value = setting_of(line, name);
    if (value != NULL) return value;
  }
  return NULL;
}

bool peer_allowed(uid_t uid) {
  if (uid == 0) return true;
  for (const char *line = next_line(NULL); line != NULL; line = next_line(line)) {
    char digits[16] = "";
    uint64_t allowed;
    const char *value = setting_of(line, "allow");
    if (value == NULL || sscanf(value, "%15s", digits) != 1) continue;
    if (parse_number(digits, UINT32_MAX - 1, &allowed) && allowed == uid) return true;
  }
  return false;
}

int peer_of_socket(int fd, struct peer *peer) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
  socklen_t groups = sizeof peer->groups;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &groups) != 0) {
    // A user with more groups than this loses the rest; root needs none.
    if (errno != ERANGE) return -1;
    groups = 0;
  }
  peer->uid = credentials.uid;
  peer->gid = credentials.gid;
  peer->group_count = groups / sizeof(gid_t);
  return 0;
}
