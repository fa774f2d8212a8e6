#include "copy_entry.h"
#include <stdint.h>
#include <string.h>

// Linux accepts 64 KiB for the list of names, and 64 KiB for each value.
#define XATTRS_MAX_BYTES (4 * 1024 * 1024)

void copy_entry_init(struct copy_entry *e) {
  buffer_init(&e->xattrs, XATTRS_MAX_BYTES);
  copy_entry_clear(e);
}

void copy_entry_clear(struct copy_entry *e) {
  e->kind = COPY_FILE;
  e->path[0] = e->link[0] = 0;
  e->mode = e->uid = e->gid = 0;
  e->size = e->seconds = 0;
  e->real_size = -1;
  e->nanoseconds = 0;
  e->appends = false;
  buffer_clear(&e->xattrs);
}

void copy_entry_from(struct copy_entry *e, enum copy_kind kind, const struct stat *st) {
  e->kind = kind;
  e->mode = st->st_mode & 07777;
  e->uid = st->st_uid;
  e->gid = st->st_gid;
  e->seconds = st->st_mtim.tv_sec;
  e->nanoseconds = st->st_mtim.tv_nsec;
}

bool copy_entry_add_xattr(struct copy_entry *e, const char *name, const void *value, size_t length) {
  return buffer_append(&e->xattrs, name, strlen(name) + 1) && buffer_append(&e->xattrs, &length, sizeof length) &&
         buffer_append(&e->xattrs, value, length);
}

bool copy_entry_next_xattr(const struct copy_entry *e, size_t *at, const char **name, const void **value, size_t *length) {
  if (*at >= buffer_length(&e->xattrs)) return false;
  const uint8_t *bytes = buffer_bytes(&e->xattrs) + *at;
  *name = (const char *)bytes;
  bytes += strlen(*name) + 1;
  memcpy(length, bytes, sizeof *length);
  *value = bytes + sizeof *length;
  *at = (size_t)(bytes + sizeof *length + *length - buffer_bytes(&e->xattrs));
  return true;
}
