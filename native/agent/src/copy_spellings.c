#include "copy_spellings.h"
#include "copy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy_spelling {
  char *name;  // NULL: a free slot
  bool is_of_copy;
};

// FNV-1a (Fowler, Noll, Vo).
static size_t hash(const char *name) {
  uint64_t value = 14695981039346656037u;
  for (; *name; name++) value = (value ^ (uint8_t)*name) * 1099511628211u;
  return (size_t)value;
}

// Open addressing; never more than half full.
static struct copy_spelling *slot_of(struct copy_spelling *table, size_t capacity, const char *name) {
  size_t at = hash(name) & (capacity - 1);
  while (table[at].name && strcmp(table[at].name, name) != 0) at = (at + 1) & (capacity - 1);
  return &table[at];
}

static void grow(struct copy_spellings *s) {
  size_t wanted = s->capacity ? 2 * s->capacity : 16;
  struct copy_spelling *larger = calloc(wanted, sizeof *larger);
  if (!larger) copy_fail_plainly("there is not enough memory", errno);
  for (size_t i = 0; i < s->capacity; i++)
    if (s->table[i].name) *slot_of(larger, wanted, s->table[i].name) = s->table[i];
  free(s->table);
  s->table = larger;
  s->capacity = wanted;
}

static struct copy_spelling *add(struct copy_spellings *s, const char *name) {
  if (2 * (s->used + 1) > s->capacity) grow(s);
  struct copy_spelling *slot = slot_of(s->table, s->capacity, name);
  if (slot->name) return slot;
  if (!(slot->name = strdup(name))) copy_fail_plainly("there is not enough memory", errno);
  s->used++;
  return slot;
}

static bool is_known(const struct copy_spellings *s, const char *name) {
  return s->used > 0 && slot_of(s->table, s->capacity, name)->name != NULL;
}

static DIR *open_listing(int directory) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (!entries && fd >= 0) close(fd);
  return entries;
}

// False when the directory cannot be listed.
static bool add_all(struct copy_spellings *s, int directory) {
  DIR *entries = open_listing(directory);
  for (struct dirent *entry; entries && (entry = readdir(entries));) add(s, entry->d_name);
  if (entries) closedir(entries);
  return s->is_listed = entries != NULL;
}

// The spelling under which the directory lists a file; NULL when it lists just this name, which somebody made meanwhile, or none.
static struct copy_spelling *other_spelling(struct copy_spellings *s, int directory, const char *name, ino_t inode) {
  DIR *entries = open_listing(directory);
  struct copy_spelling *other = NULL;
  bool is_listed = false;
  for (struct dirent *entry; entries && !is_listed && (entry = readdir(entries));) {
    if (entry->d_ino == inode) other = add(s, entry->d_name);
    is_listed = strcmp(entry->d_name, name) == 0;
  }
  if (entries) closedir(entries);
  return is_listed ? NULL : other;
}

bool copy_spelling_is_taken(struct copy_spellings *s, int directory, const char *name) {
  struct stat st;
  if (!is_known(s, name) && fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (s->is_listed || add_all(s, directory)) &&
      !is_known(s, name)) {
    struct copy_spelling *other = other_spelling(s, directory, name, st.st_ino);
    if (other && other->is_of_copy) return true;
    if (other) other->is_of_copy = true;
  }
  add(s, name)->is_of_copy = true;
  return false;
}

void copy_spellings_free(struct copy_spellings *s) {
  for (size_t i = 0; i < s->capacity; i++) free(s->table[i].name);
  free(s->table);
  *s = (struct copy_spellings){0};
}
