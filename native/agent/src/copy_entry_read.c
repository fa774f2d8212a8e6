#include "copy.h"
#include "copy_entry.h"
#include "copy_header.h"
#include "copy_stream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** More than Linux can give a file in names and attributes is an attack. */
#define RECORDS_MAX_BYTES (8 * 1024 * 1024)

_Noreturn static void damaged(const char *what) { copy_fail_plainly(what, -EBADMSG); }

static int64_t read_octal(const char *field, size_t width) {
  int64_t value = 0;
  size_t i = 0;
  while (i < width && field[i] >= '0' && field[i] <= '7') value = value * 8 + (field[i++] - '0');
  if (i == 0 || (i < width && field[i] != 0 && field[i] != ' ')) damaged("the archive is damaged (number)");
  return value;
}

static void read_string(char *into, const char *field, size_t width) {
  size_t n = strnlen(field, width);
  memcpy(into, field, n);
  into[n] = 0;
}

static int64_t whole_number(const char *text, size_t length, bool is_signed) {
  int64_t value = 0;
  size_t i = is_signed && length > 0 && text[0] == '-' ? 1 : 0;
  if (i == length || length > 20) damaged("the archive is damaged (pax number)");
  for (size_t at = i; at < length; at++)
    if (text[at] < '0' || text[at] > '9' || __builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, text[at] - '0', &value))
      damaged("the archive is damaged (pax number)");
  return i ? -value : value;
}

/** What extended headers said about the next entry. */
struct overrides {
  bool has_path, has_link, has_size, has_uid, has_gid, has_seconds;
  int64_t size, uid, gid, seconds, cut;
};

static void take_text(char *into, const char *value, size_t length) {
  if (length >= COPY_PATH_MAX_BYTES) damaged("the archive holds a path that is too long");
  if (memchr(value, 0, length)) damaged("the archive holds a path with a zero byte");
  memcpy(into, value, length);
  into[length] = 0;
}

static void take_record(struct copy_entry *e, struct overrides *o, const char *key, const char *value, size_t length) {
  if (strcmp(key, "path") == 0 || strcmp(key, "GNU.sparse.name") == 0) {
    take_text(e->path, value, length);
    o->has_path = true;
  } else if (strcmp(key, "linkpath") == 0) {
    take_text(e->link, value, length);
    o->has_link = true;
  } else if (strcmp(key, "size") == 0) {
    o->size = whole_number(value, length, false);
    o->has_size = true;
  } else if (strcmp(key, "uid") == 0) {
    o->uid = whole_number(value, length, false);
    o->has_uid = true;
  } else if (strcmp(key, "gid") == 0) {
    o->gid = whole_number(value, length, false);
    o->has_gid = true;
  } else if (strcmp(key, "mtime") == 0) {
    o->seconds = whole_number(value, length, true);
    o->has_seconds = true;
  } else if (strcmp(key, "GNU.sparse.realsize") == 0) e->real_size = whole_number(value, length, false);
  else if (strcmp(key, APPEND_KEY) == 0) e->appends = true;
  else if (strcmp(key, CUT_KEY) == 0) o->cut = whole_number(value, length, false);
  else if (strncmp(key, XATTR_KEY, sizeof XATTR_KEY - 1) == 0 &&
           !copy_entry_add_xattr(e, key + sizeof XATTR_KEY - 1, value, length))
    damaged("the archive holds attributes that are too large");
}

// "LENGTH KEY=VALUE\n", where LENGTH includes its own digits.
static void take_records(struct copy_entry *e, struct overrides *o, char *text, size_t total) {
  while (total > 0) {
    char *blank = memchr(text, ' ', total < 20 ? total : 20);
    if (!blank) damaged("the archive is damaged (pax)");
    int64_t length = whole_number(text, (size_t)(blank - text), false);
    if (length < blank - text + 4 || (uint64_t)length > total || text[length - 1] != '\n') damaged("the archive is damaged (pax)");
    char *end = text + length - 1, *equals = memchr(blank, '=', (size_t)(end - blank));
    if (!equals || memchr(blank, 0, (size_t)(equals - blank))) damaged("the archive is damaged (pax)");
    *equals = 0;
    take_record(e, o, blank + 1, equals + 1, (size_t)(end - equals - 1));
    text += length;
    total -= (size_t)length;
  }
}

static void read_records(struct copy_entry *e, struct overrides *o, int64_t size) {
  if (size > RECORDS_MAX_BYTES) damaged("the archive holds an extended header that is too large");
  char *text = malloc((size_t)size + 1);
  if (!text) damaged("there is not enough memory");
  copy_read(text, (size_t)size);
  copy_skip((uint64_t)(-size & (COPY_BLOCK_BYTES - 1)));
  take_records(e, o, text, (size_t)size);
  free(text);
}

static void take_header(struct copy_entry *e, const struct overrides *o, const struct ustar *h) {
  e->kind = (enum copy_kind)h->kind;
  if (!strchr("0125", h->kind) || h->kind == 0) damaged("the archive holds something that is no file, directory or link");
  if (!o->has_path) read_string(e->path, h->name, sizeof h->name);
  if (!o->has_link) read_string(e->link, h->link, sizeof h->link);
  e->mode = (unsigned)read_octal(h->mode, sizeof h->mode) & 07777;
  e->uid = (unsigned)(o->has_uid ? o->uid : read_octal(h->uid, sizeof h->uid));
  e->gid = (unsigned)(o->has_gid ? o->gid : read_octal(h->gid, sizeof h->gid));
  e->size = o->has_size ? o->size : read_octal(h->size, sizeof h->size);
  e->seconds = o->has_seconds ? o->seconds : read_octal(h->mtime, sizeof h->mtime);
  e->nanoseconds = h->nanoseconds[0] ? (long)whole_number(h->nanoseconds, strnlen(h->nanoseconds, 9), false) : 0;
  if (e->kind != COPY_FILE && (e->size != 0 || e->real_size >= 0)) damaged("the archive gives content to what has none");
}

static bool is_zero(const struct ustar *h) {
  static const struct ustar zero;
  return memcmp(h, &zero, sizeof zero) == 0;
}

enum copy_read copy_entry_read(struct copy_entry *e) {
  struct overrides o = {.cut = -1};
  copy_entry_clear(e);
  for (;;) {
    struct ustar h;
    copy_read(&h, sizeof h);
    if (is_zero(&h)) return COPY_READ_END;
    if (memcmp(h.magic, "ustar", sizeof h.magic) != 0 || read_octal(h.checksum, sizeof h.checksum) != ustar_checksum(&h))
      damaged("the archive is damaged (header)");
    if (h.kind != PAX_NEXT && h.kind != PAX_GLOBAL) {
      take_header(e, &o, &h);
      return COPY_READ_ENTRY;
    }
    read_records(e, &o, read_octal(h.size, sizeof h.size));
    if (o.cut >= 0) {
      e->size = o.cut;
      return COPY_READ_CUT;
    }
  }
}
