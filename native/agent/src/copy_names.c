#include "copy_names.h"
#include "copy.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct seen {
  dev_t device;
  ino_t inode;
  char *path;
};

// Open addressing; never more than half full.
static struct seen *table;
static size_t capacity, used;

static struct seen *slot_of(struct seen *in, size_t slots, dev_t device, ino_t inode) {
  size_t at = (size_t)(inode * 0x9e3779b97f4a7c15u ^ device) & (slots - 1);
  while (in[at].path && (in[at].device != device || in[at].inode != inode)) at = (at + 1) & (slots - 1);
  return &in[at];
}

static void grow(void) {
  size_t wanted = capacity ? 2 * capacity : 1024;
  struct seen *larger = calloc(wanted, sizeof *larger);
  if (!larger) copy_fail_plainly("there is not enough memory", errno);
  for (size_t i = 0; i < capacity; i++)
    if (table[i].path) *slot_of(larger, wanted, table[i].device, table[i].inode) = table[i];
  free(table);
  table = larger;
  capacity = wanted;
}

const char *copy_first_name(const struct stat *st, const char *path) {
  if (2 * (used + 1) > capacity) grow();
  struct seen *slot = slot_of(table, capacity, st->st_dev, st->st_ino);
  if (slot->path) return slot->path;
  *slot = (struct seen){st->st_dev, st->st_ino, strdup(path)};
  if (!slot->path) copy_fail_plainly("there is not enough memory", errno);
  used++;
  return NULL;
}
