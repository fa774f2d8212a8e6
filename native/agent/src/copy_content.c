#include "copy_content.h"
#include "copy.h"
#include "copy_stream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** More pieces than an honest sender makes. */
#define SEGMENTS_MAX 1000000

static int fd;
static const char *shown;
static bool can_seek, has_hole_at_end;
static int64_t position;  // behind what was written

void copy_content_begin(int to, const char *path, bool seeks) {
  fd = to;
  shown = path;
  can_seek = seeks;
  has_hole_at_end = false;
  position = 0;
}

static void put(const void *bytes, size_t n) {
  if (!copy_write_all(fd, bytes, n)) copy_fail(shown, "it cannot be written", errno);
  position += (int64_t)n;
}

static void put_zeros(int64_t n) {
  static const uint8_t zeros[65536];
  for (; n > 0; n -= n < (int64_t)sizeof zeros ? n : (int64_t)sizeof zeros) put(zeros, n < (int64_t)sizeof zeros ? (size_t)n : sizeof zeros);
}

static void move_to(int64_t offset) {
  if (offset == position) return;
  if (!can_seek) {
    put_zeros(offset - position);
    return;
  }
  if (lseek(fd, offset, SEEK_SET) != offset) copy_fail(shown, "it cannot be written", errno);
  position = offset;
}

static void take_bytes(int64_t n) {
  while (n > 0) {
    size_t piece;
    const uint8_t *bytes = copy_read_some((uint64_t)n, &piece);
    put(bytes, piece);
    n -= (int64_t)piece;
  }
}

struct segment {
  int64_t offset, length;
};

// One decimal number of the map and its line break. `left`: how much of the content is unread.
static int64_t read_number(int64_t *left) {
  int64_t value = 0;
  for (int digits = 0;; digits++) {
    size_t n;
    char c = (char)*copy_read_some(1, &n);
    --*left;
    if (c == '\n' && digits > 0) return value;
    if (c < '0' || c > '9' || digits > 17 || *left <= 0) copy_fail(shown, "the archive is damaged (map of a sparse file)", -EBADMSG);
    value = value * 10 + (c - '0');
  }
}

static void end_with_hole(int64_t size) {
  if (size <= position) return;
  move_to(size);
  has_hole_at_end = can_seek;
}

static void take_sparse(const struct copy_entry *e) {
  int64_t left = e->size, count = read_number(&left), end = 0, data = 0;
  struct segment *segments = count <= SEGMENTS_MAX ? calloc((size_t)count + 1, sizeof *segments) : NULL;
  if (!segments) copy_fail(shown, "the archive is damaged (map of a sparse file)", -EBADMSG);
  for (int64_t i = 0; i < count; i++) {
    struct segment s;
    s.offset = read_number(&left);
    s.length = read_number(&left);
    // Both have at most 18 digits, so neither sum overflows before the comparison.
    if (s.offset < end || s.offset > e->real_size || s.length > e->real_size - s.offset)
      copy_fail(shown, "the archive is damaged (map of a sparse file)", -EBADMSG);
    end = s.offset + s.length;
    data += s.length;
    segments[i] = s;
  }
  int64_t map = e->size - left, padding = -map & (COPY_BLOCK_BYTES - 1);
  if (data != left - padding) copy_fail(shown, "the archive is damaged (map of a sparse file)", -EBADMSG);
  copy_skip((uint64_t)padding);
  for (int64_t i = 0; i < count; i++) {
    if (segments[i].length == 0) continue;
    move_to(segments[i].offset);
    take_bytes(segments[i].length);
  }
  free(segments);
  end_with_hole(e->real_size);
}

void copy_content_take(const struct copy_entry *e) {
  if (e->real_size >= 0) take_sparse(e);
  else take_bytes(e->size);
  copy_skip((uint64_t)(-e->size & (COPY_BLOCK_BYTES - 1)));
}

static void copy_range(int from, int64_t end) {
  static uint8_t bytes[65536];
  while (position < end) {
    int64_t left = end - position;
    ssize_t n = pread(from, bytes, left < (int64_t)sizeof bytes ? (size_t)left : sizeof bytes, position);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) copy_fail(shown, "the other name of it cannot be read", errno);
    if (n == 0) return;
    put(bytes, (size_t)n);
  }
}

void copy_content_copy(int from) {
  struct stat st;
  for (int64_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
    int64_t end = lseek(from, at, SEEK_HOLE);
    if (end < 0) break;
    move_to(at);
    copy_range(from, end);
    at = end;
  }
  if (fstat(from, &st) == 0) end_with_hole(st.st_size);
}

void copy_content_cut(int64_t size) {
  if (!can_seek || size >= position) return;
  position = size;
  has_hole_at_end = true;
}

void copy_content_end(void) {
  if (has_hole_at_end && ftruncate(fd, position) != 0) copy_fail(shown, "it cannot get its size", errno);
}
