#include "copy_file.h"
#include "copy_marks.h"
#include "copy.h"
#include "copy_stream.h"
#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/** Files up to this size are read before their header is sent, so that they cannot change in between. */
#define SMALL_BYTES (64 * 1024)
/** If a file has more pieces, its remaining holes are sent as zeros. */
#define SEGMENTS_MAX 65536

struct segment {
  int64_t offset, length;
};

static uint8_t piece[COPY_PIECE_BYTES];

static size_t read_full(int fd, void *into, size_t n, const char *shown) {
  size_t done = 0;
  while (done < n) {
    ssize_t got = read(fd, (uint8_t *)into + done, n - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) copy_fail(shown, "it cannot be read", errno);
    if (got == 0) break;
    done += (size_t)got;
  }
  return done;
}

void copy_send_stream(struct copy_entry *e, int fd, const char *shown) {
  do {
    e->size = (int64_t)read_full(fd, piece, sizeof piece, shown);
    if (e->appends && e->size == 0) return;
    copy_entry_write(e);
    copy_write(piece, (size_t)e->size);
    copy_write_padding((uint64_t)e->size);
    e->appends = true;
    buffer_clear(&e->xattrs);
  } while (e->size == sizeof piece);
}

// Sends `length` bytes from `offset`, padded with zeros. Returns how many of them the file had.
static int64_t send_range(int fd, int64_t offset, int64_t length, const char *shown) {
  int64_t left = length;
  while (left > 0) {
    size_t wanted = left < (int64_t)sizeof piece ? (size_t)left : sizeof piece;
    ssize_t n = pread(fd, piece, wanted, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) copy_fail(shown, "it cannot be read", errno);
    if (n == 0) break;
    copy_write(piece, (size_t)n);
    offset += n;
    left -= n;
  }
  copy_write_zeros((uint64_t)left);
  return length - left;
}

static void say_cut(int64_t size, const char *shown) {
  copy_note(shown, "it became shorter while it was read; what it still held was copied");
  copy_write_cut(size);
}

// Fills `segments` with the positions of the file's data. Returns their number, 0 if the file system does not report them.
static size_t find_segments(int fd, int64_t size, struct segment *segments) {
  size_t n = 0;
  for (int64_t at = 0; at < size;) {
    int64_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0 || n == SEGMENTS_MAX) return 0;
    if (data >= size) break;
    int64_t hole = n == SEGMENTS_MAX - 1 ? size : lseek(fd, data, SEEK_HOLE);
    if (hole < 0 || hole > size) hole = size;
    segments[n++] = (struct segment){data, hole - data};
    at = hole;
  }
  // In GNU tar, an empty segment marks the file's end there.
  if (n == 0 || segments[n - 1].offset + segments[n - 1].length < size) {
    if (n == SEGMENTS_MAX) return 0;
    segments[n++] = (struct segment){size, 0};
  }
  return n;
}

static bool send_sparse(struct copy_entry *e, int fd, const struct stat *st, const char *shown) {
  struct segment *segments = malloc(SEGMENTS_MAX * sizeof *segments);
  size_t n = segments ? find_segments(fd, st->st_size, segments) : 0;
  struct buffer map;
  buffer_init(&map, 64 * SEGMENTS_MAX);
  buffer_printf(&map, "%zu\n", n);
  int64_t data = 0, kept = st->st_size;
  for (size_t i = 0; i < n; i++) {
    buffer_printf(&map, "%" PRId64 "\n%" PRId64 "\n", segments[i].offset, segments[i].length);
    data += segments[i].length;
  }
  while (buffer_length(&map) % COPY_BLOCK_BYTES != 0 && buffer_append(&map, "", 1)) continue;
  bool is_known = n > 0 && !map.overflow;
  if (is_known) {
    e->real_size = st->st_size;
    e->size = (int64_t)buffer_length(&map) + data;
    copy_entry_write(e);
    copy_write(buffer_bytes(&map), buffer_length(&map));
    for (size_t i = 0; i < n; i++) {
      int64_t had = send_range(fd, segments[i].offset, segments[i].length, shown);
      if (had < segments[i].length && segments[i].offset + had < kept) kept = segments[i].offset + had;
    }
    copy_write_padding((uint64_t)e->size);
    struct stat now;
    if (fstat(fd, &now) == 0 && now.st_size < kept) kept = now.st_size;
    if (kept < st->st_size) say_cut(kept, shown);
  }
  buffer_free(&map);
  free(segments);
  return is_known;
}

void copy_send_file(struct copy_entry *e, int fd, const struct stat *st, const char *shown) {
  // Files of /proc and /sys report a size of 0, or of a page.
  if (st->st_size == 0) {
    copy_send_stream(e, fd, shown);
    return;
  }
  if (st->st_size <= SMALL_BYTES) {
    e->size = (int64_t)read_full(fd, piece, SMALL_BYTES, shown);
    copy_entry_write(e);
    copy_write(piece, (size_t)e->size);
    copy_write_padding((uint64_t)e->size);
    return;
  }
  if (st->st_blocks * 512 < st->st_size && send_sparse(e, fd, st, shown)) return;
  e->size = st->st_size;
  copy_entry_write(e);
  int64_t had = send_range(fd, 0, st->st_size, shown);
  copy_write_padding((uint64_t)e->size);
  if (had < st->st_size) say_cut(had, shown);
}

static bool is_carried(const char *name) {
  return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 || strcmp(name, "security.capability") == 0 ||
         strncmp(name, "system.posix_acl_", 17) == 0;
}

void copy_read_xattrs(struct copy_entry *e, int fd, const char *shown) {
  static char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
  ssize_t listed = flistxattr(fd, names, sizeof names);
  for (char *name = names; listed > 0 && name < names + listed; name += strlen(name) + 1) {
    if (!is_carried(name) || copy_is_mark(name)) continue;
    ssize_t length = fgetxattr(fd, name, value, sizeof value);
    if (length < 0) continue;
    if (!copy_entry_add_xattr(e, name, value, (size_t)length)) copy_fail(shown, "its attributes are too large", -E2BIG);
  }
}
