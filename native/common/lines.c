#include "common/lines.h"

#include "common/errors.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int lines_listen(const char *path, mode_t mask) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  // Bound under another name and renamed, so that it appears with its final mode.
  int n = snprintf(address.sun_path, sizeof address.sun_path, "%s.new", path);
  if (n < 0 || (size_t)n >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  unlink(address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  mode_t before = umask(mask);
  int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(before);
  if (bound == 0 && listen(fd, 64) == 0 && rename(address.sun_path, path) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

int lines_accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  // Further clients stay in the queue, and the loop comes back at once.
  if (fd < 0 && (errno == EMFILE || errno == ENFILE)) usleep(1000);
  return fd;
}

bool lines_read(struct lines *lines, int fd) {
  ssize_t n = recv(fd, lines->bytes + lines->length, sizeof lines->bytes - lines->length, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  lines->length += (size_t)n;
  return n > 0;
}

bool lines_take(struct lines *lines, char line[LINE_BYTES], bool *is_text) {
  char *end = memchr(lines->bytes, '\n', lines->length);
  if (end == NULL) return false;
  size_t length = (size_t)(end - lines->bytes);
  memcpy(line, lines->bytes, length);
  line[length] = '\0';
  *is_text = strlen(line) == length;
  lines->length -= length + 1;
  memmove(lines->bytes, end + 1, lines->length);
  return true;
}

bool lines_too_long(const struct lines *lines) { return lines->length == sizeof lines->bytes; }

int words_of(char *line, char **words, int most) {
  char *rest = NULL;
  int count = 0;
  for (char *word = strtok_r(line, " ", &rest); word != NULL && count < most; word = strtok_r(NULL, " ", &rest)) words[count++] = word;
  return count;
}

bool parse_number(const char *text, uint64_t maximum, uint64_t *number) {
  uint64_t value = 0;
  // 19 digits fit into 64 bits.
  size_t length = strlen(text);
  if (length == 0 || length > 19) return false;
  for (const char *digit = text; *digit != '\0'; digit++) {
    if (*digit < '0' || *digit > '9') return false;
    value = value * 10 + (uint64_t)(*digit - '0');
  }
  *number = value;
  return value <= maximum;
}
