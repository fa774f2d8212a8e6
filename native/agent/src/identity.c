#include "identity.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char block_begin[] = "# banger begin: lines up to the end mark are replaced at every start\n";
static const char block_end[] = "# banger end\n";

int write_file_as(const char *path, mode_t mode, const struct stat *owner, const void *content, size_t length) {
  char partial[PATH_MAX];
  if (snprintf(partial, sizeof partial, "%s.banger-partial", path) >= (int)sizeof partial) return ENAMETOOLONG;
  unlink(partial);
  int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), error = 0;
  if (fd < 0) return errno;
  for (size_t done = 0; !error && done < length;) {
    ssize_t n = write(fd, (const char *)content + done, length - done);
    if (n < 0 && errno != EINTR) error = errno;
    if (n > 0) done += (size_t)n;
  }
  if (!error && owner && fchown(fd, owner->st_uid, owner->st_gid) != 0) error = errno;
  if (!error && fchmod(fd, mode) != 0) error = errno;
  if (close(fd) != 0 && !error) error = errno;
  if (!error && rename(partial, path) != 0) error = errno;
  if (error) unlink(partial);
  return error;
}

int write_file(const char *path, mode_t mode, const void *content, size_t length) {
  return write_file_as(path, mode, NULL, content, length);
}

static bool line_begins(const char *line, const char *end, const char *word) {
  size_t n = strlen(word);
  return (size_t)(end - line) >= n && memcmp(line, word, n) == 0;
}

void marked_block_replace(struct buffer *out, const char *old, size_t old_length, const char *lines, size_t lines_length) {
  const char *at = old, *end = old + old_length;
  bool is_inside = false;
  while (at < end) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *next = newline ? newline + 1 : end;
    if (line_begins(at, end, "# banger begin")) is_inside = true;
    else if (is_inside && line_begins(at, end, "# banger end")) is_inside = false;
    else {
      if (is_inside && *at == '\n') is_inside = false;
      if (!is_inside) {
        buffer_append(out, at, (size_t)(next - at));
        if (!newline) buffer_puts(out, "\n");
      }
    }
    at = next;
  }
  if (lines_length == 0) return;
  buffer_puts(out, block_begin);
  buffer_append(out, lines, lines_length);
  buffer_puts(out, block_end);
}

static int base64_value(char c) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *found = c ? strchr(alphabet, c) : NULL;
  return found ? (int)(found - alphabet) : -1;
}

long base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity) {
  size_t n = 0, padding = 0;
  if (length % 4 != 0) return -1;
  while (padding < 2 && padding < length && text[length - 1 - padding] == '=') padding++;
  for (size_t i = 0; i < length; i += 4) {
    uint32_t group = 0;
    size_t bytes = i + 4 == length ? 3 - padding : 3;
    for (size_t j = 0; j < 4; j++) {
      int value = j > bytes ? 0 : base64_value(text[i + j]);
      if (value < 0) return -1;
      group = group << 6 | (uint32_t)value;
    }
    for (size_t j = 0; j < bytes; j++) {
      if (n == capacity) return -1;
      out[n++] = (uint8_t)(group >> (16 - 8 * j));
    }
  }
  return (long)n;
}
