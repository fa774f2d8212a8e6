// The reader of copies against mutated archives. A failure of it ends the process, so it is taken in here with an end that returns.
#include "../src/copy.h"
#include "../src/copy_entry.h"
#include "../src/copy_header.h"
#include "../src/copy_stream.h"
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static jmp_buf end;
static const uint8_t *archive;
static size_t left;
// What the reader had allocated when it failed.
static void *allocated[64];
static size_t allocated_count;

static void *keep(void *memory) {
  if (memory) allocated[allocated_count++ % 64] = memory;
  return memory;
}

static void let_go(void *memory) {
  for (size_t i = 0; i < 64; i++)
    if (allocated[i] == memory) allocated[i] = NULL;
  free(memory);
}

_Noreturn static void fail(const char *reason) {
  if (!*reason && errno == 0) abort();
  longjmp(end, 1);
}

// Checksums would refuse all but a few of the mutations.
#define ustar_checksum(header) ((unsigned)read_octal((header)->checksum, sizeof(header)->checksum))
#define malloc(size) keep(malloc(size))
#define calloc(count, size) keep(calloc(count, size))
#define free(memory) let_go(memory)
#define copy_fail(path, reason, error) fail(reason)
#define copy_fail_plainly(reason, error) fail(reason)
#define copy_read_some(most, n) fuzz_read_some(most, n)
#define copy_read(into, n) fuzz_read(into, n)
#define copy_skip(n) fuzz_skip(n)
#define copy_write_all(fd, bytes, n) (write(fd, bytes, n) == (ssize_t)(n))

static const uint8_t *fuzz_read_some(uint64_t most, size_t *n) {
  if (left == 0) fail("the copy ended early");
  *n = left < most ? left : (size_t)most;
  archive += *n;
  left -= *n;
  return archive - *n;
}

static void fuzz_read(void *into, size_t n) {
  if (left < n) fail("the copy ended early");
  memcpy(into, archive, n);
  archive += n;
  left -= n;
}

static void fuzz_skip(uint64_t n) {
  if (left < n) fail("the copy ended early");
  archive += n;
  left -= n;
}

#include "../src/copy_content.c"
#undef SEGMENTS_MAX
#include "../src/copy_entry_read.c"

static void check(const struct copy_entry *e) {
  const char *name;
  const void *value;
  size_t length, at = 0, sum = strlen(e->path) + strlen(e->link);
  while (copy_entry_next_xattr(e, &at, &name, &value, &length)) sum += strlen(name) + (length ? *(const uint8_t *)value : 0);
  if (e->size < 0 || e->real_size < -1 || (e->mode & ~07777u) || e->nanoseconds < 0 || sum == SIZE_MAX) abort();
}

static void read_all(struct copy_entry *e, int file) {
  for (;;) {
    switch (copy_entry_read(e)) {
      case COPY_READ_END: copy_content_end(); return;
      case COPY_READ_CUT: copy_content_cut(e->size); break;
      case COPY_READ_ENTRY:
        check(e);
        if (!e->appends) copy_content_begin(file, e->path, true);
        copy_content_take(e);
    }
  }
}

void fuzz_copy(const uint8_t *data, size_t size) {
  static struct copy_entry entry;
  static int file = -1;
  if (file < 0) {
    file = memfd_create("content", MFD_CLOEXEC);
    copy_entry_init(&entry);
    copy_content_begin(file, "", true);
  }
  archive = data;
  left = size;
  if (setjmp(end) == 0) read_all(&entry, file);
  for (size_t i = 0; i < 64; i++) {
    if (allocated[i]) (free)(allocated[i]);
    allocated[i] = NULL;
  }
  if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0) abort();
}
