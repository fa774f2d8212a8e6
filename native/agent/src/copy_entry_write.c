#include "copy.h"
#include "copy_entry.h"
#include "copy_header.h"
#include "copy_stream.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX_BYTES (8 * 1024 * 1024)

bool copy_is_for_others;

unsigned ustar_checksum(const struct ustar *h) {
  const uint8_t *bytes = (const uint8_t *)h;
  const size_t from = offsetof(struct ustar, checksum), to = from + sizeof h->checksum;
  unsigned sum = 0;
  for (size_t i = 0; i < sizeof *h; i++) sum += i >= from && i < to ? ' ' : bytes[i];
  return sum;
}

static void put_octal(char *field, size_t width, uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "%0*" PRIo64, (int)width - 1, value);
  memcpy(field, text, width - 1);
}

static void put_string(char *field, size_t width, const char *text) { memcpy(field, text, strnlen(text, width)); }

static void write_block(const struct copy_entry *e, char kind, const char *path, int64_t size) {
  struct ustar h = {0};
  put_string(h.name, sizeof h.name, path);
  put_octal(h.mode, sizeof h.mode, e->mode);
  put_octal(h.uid, sizeof h.uid, e->uid > USTAR_MAX_ID ? 0 : e->uid);
  put_octal(h.gid, sizeof h.gid, e->gid > USTAR_MAX_ID ? 0 : e->gid);
  put_octal(h.size, sizeof h.size, size > USTAR_MAX_NUMBER ? 0 : (uint64_t)size);
  put_octal(h.mtime, sizeof h.mtime, e->seconds < 0 || e->seconds > USTAR_MAX_NUMBER ? 0 : (uint64_t)e->seconds);
  h.kind = kind;
  if (kind == COPY_LINK || kind == COPY_HARD_LINK) put_string(h.link, sizeof h.link, e->link);
  memcpy(h.magic, "ustar", sizeof h.magic);
  memcpy(h.version, "00", sizeof h.version);
  if (e->nanoseconds > 0 && e->nanoseconds < 1000000000) {
    char digits[24];
    snprintf(digits, sizeof digits, "%09ld", e->nanoseconds);
    memcpy(h.nanoseconds, digits, 9);
  }
  snprintf(h.checksum, sizeof h.checksum, "%06o", ustar_checksum(&h));
  h.checksum[7] = ' ';
  copy_write(&h, sizeof h);
}

static void put_record(struct buffer *records, const char *key, const void *value, size_t length) {
  // The number in front includes its own digits.
  size_t rest = strlen(key) + length + 3, whole = rest;
  for (size_t digits = 1, ten = 10; ; digits++, ten *= 10) {
    whole = rest + digits;
    if (whole < ten) break;
  }
  buffer_printf(records, "%zu %s=", whole, key);
  buffer_append(records, value, length);
  buffer_append(records, "\n", 1);
}

static void put_number(struct buffer *records, const char *key, int64_t value) {
  char text[32];
  int n = snprintf(text, sizeof text, "%" PRId64, value);
  put_record(records, key, text, (size_t)n);
}

// The time as pax has it, for programs that know nothing of the fraction in our headers. What is before 1970 counts backwards.
static void put_exact_time(struct buffer *records, const struct copy_entry *e) {
  bool is_early = e->seconds < 0 && e->nanoseconds > 0;
  int64_t whole = is_early ? -(e->seconds + 1) : e->seconds;
  char text[48];
  int n = snprintf(text, sizeof text, "%s%" PRId64 ".%09ld", is_early ? "-" : "", whole, is_early ? 1000000000 - e->nanoseconds : e->nanoseconds);
  put_record(records, "mtime", text, (size_t)n);
}

static void put_xattrs(struct buffer *records, const struct copy_entry *e) {
  const char *name;
  const void *value;
  size_t length, at = 0;
  while (copy_entry_next_xattr(e, &at, &name, &value, &length)) {
    char key[sizeof XATTR_KEY + 256];
    if (snprintf(key, sizeof key, XATTR_KEY "%s", name) < (int)sizeof key) put_record(records, key, value, length);
  }
}

static void put_sparse(struct buffer *records, const struct copy_entry *e) {
  put_number(records, "GNU.sparse.major", 1);
  put_number(records, "GNU.sparse.minor", 0);
  put_record(records, "GNU.sparse.name", e->path, strlen(e->path));
  put_number(records, "GNU.sparse.realsize", e->real_size);
}

static void write_records(const struct copy_entry *e, char kind, struct buffer *records) {
  if (records->overflow) copy_fail(e->path, "its attributes are too large", -E2BIG);
  static struct copy_entry carrier;
  carrier.mode = 0644;
  write_block(&carrier, kind, "PaxHeader", (int64_t)buffer_length(records));
  copy_write(buffer_bytes(records), buffer_length(records));
  copy_write_padding(buffer_length(records));
}

void copy_entry_write(const struct copy_entry *e) {
  struct buffer records;
  buffer_init(&records, RECORDS_MAX_BYTES);
  if (strlen(e->path) > sizeof((struct ustar *)0)->name) put_record(&records, "path", e->path, strlen(e->path));
  if (strlen(e->link) > sizeof((struct ustar *)0)->link) put_record(&records, "linkpath", e->link, strlen(e->link));
  if (e->size > USTAR_MAX_NUMBER) put_number(&records, "size", e->size);
  if (e->uid > USTAR_MAX_ID) put_number(&records, "uid", e->uid);
  if (e->gid > USTAR_MAX_ID) put_number(&records, "gid", e->gid);
  bool has_fraction = e->nanoseconds > 0 && e->nanoseconds < 1000000000;
  if (copy_is_for_others && has_fraction) put_exact_time(&records, e);
  else if (e->seconds < 0 || e->seconds > USTAR_MAX_NUMBER) put_number(&records, "mtime", e->seconds);
  if (e->real_size >= 0) put_sparse(&records, e);
  if (e->appends) put_record(&records, APPEND_KEY, "1", 1);
  put_xattrs(&records, e);
  if (buffer_length(&records) > 0) write_records(e, PAX_NEXT, &records);
  buffer_free(&records);
  write_block(e, (char)e->kind, e->path, e->size);
}

void copy_write_cut(int64_t size) {
  struct buffer records;
  static struct copy_entry none;
  buffer_init(&records, 1024);
  put_number(&records, CUT_KEY, size);
  write_records(&none, PAX_GLOBAL, &records);
  buffer_free(&records);
}

void copy_write_end(void) {
  copy_write_zeros(2 * COPY_BLOCK_BYTES);
  copy_flush();
}
