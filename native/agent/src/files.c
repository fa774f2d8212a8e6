#include "handlers.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Files of /proc and /sys report a size of 0.
#define UNSIZED_MAX_BYTES (256 * 1024)

static bool read_path(struct channel *c, const struct request *request, char *path) {
  if (http_query(&request->http, "path", path, PATH_MAX) > 0 && path[0] == '/') return true;
  reply_error(c, 400, "the query needs an absolute, percent-encoded path", 0);
  return false;
}

static bool send_file_head(struct channel *c, const struct stat *st, long long size) {
  char head[256];
  int n = snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n"
                   "X-Mode: %04o\r\nX-Size: %lld\r\n\r\n",
                   size, (unsigned)(st->st_mode & 07777), size);
  return channel_write(c, head, (size_t)n);
}

static void send_unsized(struct channel *c, int fd, const struct stat *st) {
  struct buffer content;
  buffer_init(&content, UNSIZED_MAX_BYTES);
  uint8_t *into;
  ssize_t n = 0;
  while (buffer_room(&content) >= 4096 && (into = buffer_reserve(&content, 4096)) && (n = read(fd, into, 4096)) > 0)
    buffer_commit(&content, (size_t)n);
  if (n < 0) reply_errno(c, "the file cannot be read", errno);
  else if (send_file_head(c, st, (long long)buffer_length(&content)) &&
           channel_write(c, buffer_bytes(&content), buffer_length(&content)))
    channel_flush(c);
  buffer_free(&content);
}

static void send_sized(struct channel *c, int fd, const struct stat *st) {
  static uint8_t piece[32768];
  long long left = st->st_size;
  send_file_head(c, st, left);
  while (left > 0) {
    ssize_t n = read(fd, piece, left < (long long)sizeof piece ? (size_t)left : sizeof piece);
    if (n <= 0) {
      // The file became shorter, so the announced length is wrong, and the host must notice.
      if (c->resyncs) c->scanning = true;
      else c->gone = true;
      break;
    }
    if (!channel_write(c, piece, (size_t)n)) return;
    left -= n;
  }
  channel_flush(c);
}

void handle_get_file(struct channel *c, struct request *request) {
  char path[PATH_MAX];
  struct stat st;
  if (!read_path(c, request, path)) return;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) reply_errno(c, path, errno);
  else if (!S_ISREG(st.st_mode)) reply_errno(c, path, S_ISDIR(st.st_mode) ? EISDIR : EINVAL);
  else if (st.st_size == 0) send_unsized(c, fd, &st);
  else send_sized(c, fd, &st);
  if (fd >= 0) close(fd);
}

void handle_stat(struct channel *c, struct request *request) {
  char path[PATH_MAX];
  struct stat st;
  if (!read_path(c, request, path)) return;
  if (lstat(path, &st) != 0) {
    reply_errno(c, path, errno);
    return;
  }
  const char *type = S_ISREG(st.st_mode)   ? "file"
                     : S_ISDIR(st.st_mode) ? "directory"
                     : S_ISLNK(st.st_mode) ? "symlink"
                                           : "other";
  struct buffer body;
  buffer_init(&body, 1024);
  buffer_printf(&body, "{\"type\":\"%s\",\"mode\":%u,\"sizeBytes\":%lld}", type, (unsigned)(st.st_mode & 07777),
                (long long)st.st_size);
  reply_json(c, 200, &body);
  buffer_free(&body);
}

// Reads the whole body, even after an error, so that the next request begins at the right place. Returns an errno.
static int receive_body(struct channel *c, uint64_t left, int fd) {
  int error = 0;
  while (left > 0) {
    if (buffer_length(&c->in) == 0 && !channel_read_more(c)) return ECONNRESET;
    size_t piece = buffer_length(&c->in) < left ? buffer_length(&c->in) : (size_t)left;
    for (size_t done = 0; fd >= 0 && !error && done < piece;) {
      ssize_t n = write(fd, buffer_bytes(&c->in) + done, piece - done);
      if (n < 0 && errno != EINTR) error = errno;
      if (n > 0) done += (size_t)n;
    }
    buffer_consume(&c->in, piece);
    left -= piece;
  }
  return error;
}

static bool read_mode(const struct request *request, unsigned *mode) {
  char text[8];
  *mode = 0644;
  if (!strstr(request->http.query, "mode=")) return true;
  long n = http_query(&request->http, "mode", text, sizeof text);
  if (n < 1 || n > 5 || strspn(text, "01234567") != (size_t)n) return false;
  *mode = (unsigned)strtoul(text, NULL, 8);
  return *mode <= 07777;
}

// The file of a path after all links. A new file is itself. Returns an errno.
static int resolve_target(const char *path, char *resolved, struct stat *before, bool *exists) {
  *exists = stat(path, before) == 0;
  if (*exists && !S_ISREG(before->st_mode)) return S_ISDIR(before->st_mode) ? EISDIR : EINVAL;
  if (*exists) return realpath(path, resolved) ? 0 : errno;
  // A dangling link would be replaced by a file, and the user would lose the link.
  struct stat link;
  if (lstat(path, &link) == 0) return ENOENT;
  snprintf(resolved, PATH_MAX, "%s", path);
  return 0;
}

// Opens the file beside the target that will replace it, with the target's owner. Returns an errno.
static int open_partial(const char *path, char *resolved, char *partial, size_t capacity, int *fd) {
  struct stat before;
  bool exists;
  int error = resolve_target(path, resolved, &before, &exists);
  if (error) return error;
  snprintf(partial, capacity, "%s.banger-partial", resolved);
  // First removes a leftover: opening it could follow another program's symlink, or wait for a FIFO's reader.
  unlink(partial);
  *fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (*fd < 0) return errno;
  return exists && fchown(*fd, before.st_uid, before.st_gid) != 0 ? errno : 0;
}

void handle_put_file(struct channel *c, struct request *request) {
  char path[PATH_MAX], resolved[PATH_MAX], partial[PATH_MAX + 32];
  unsigned mode;
  long n = http_query(&request->http, "path", path, sizeof path);
  bool is_valid = n > 1 && path[0] == '/' && path[n - 1] != '/' && read_mode(request, &mode);
  int fd = -1, error = is_valid ? open_partial(path, resolved, partial, sizeof partial, &fd) : EINVAL;
  int body_error = receive_body(c, request->http.content_length, fd);
  if (!error) error = body_error;
  if (fd >= 0 && !error && fchmod(fd, mode) != 0) error = errno;
  if (fd >= 0 && close(fd) != 0 && !error) error = errno;
  if (fd >= 0 && !error && rename(partial, resolved) != 0) error = errno;
  if (fd >= 0 && error) unlink(partial);
  if (c->gone) return;
  if (!is_valid) reply_error(c, 400, "the query needs an absolute, percent-encoded path and an octal mode", 0);
  else if (error) reply_errno(c, path, error);
  else reply_empty(c, 204);
}
