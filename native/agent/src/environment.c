#include "environment.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

// FNV-1a (Fowler, Noll, Vo): names are short, and they come from the trusted host.
static size_t hash(const char *name, size_t length) {
  uint32_t value = 2166136261u;
  for (size_t i = 0; i < length; i++) value = (value ^ (uint8_t)name[i]) * 16777619u;
  return value;
}

static size_t name_length_of(const char *entry) { return strcspn(entry, "="); }

// The slot of this name: where its number is, or would be.
static uint32_t *find(const struct environment *e, const char *name, size_t length) {
  size_t mask = e->capacity * 2 - 1;
  for (size_t i = hash(name, length) & mask;; i = (i + 1) & mask) {
    uint32_t number = e->slots[i];
    if (number == 0) return &e->slots[i];
    const char *entry = e->entries[number - 1];
    if (strncmp(entry, name, length) == 0 && entry[length] == '=') return &e->slots[i];
  }
}

static bool grow(struct environment *e) {
  size_t capacity = e->capacity ? e->capacity * 2 : FIRST_CAPACITY;
  char **entries = realloc(e->entries, (capacity + 1) * sizeof *entries);
  if (entries) e->entries = entries;
  uint32_t *slots = entries ? calloc(capacity * 2, sizeof *slots) : NULL;
  if (!slots) return false;
  free(e->slots);
  e->slots = slots;
  e->capacity = capacity;
  for (size_t i = 0; i < e->count; i++) *find(e, entries[i], name_length_of(entries[i])) = (uint32_t)i + 1;
  return true;
}

bool environment_set(struct environment *e, const char *name, size_t name_length, const char *value) {
  if (name_length == 0 || memchr(name, '=', name_length)) return false;
  if (e->count == e->capacity && !grow(e)) return false;
  size_t value_length = strlen(value);
  char *entry = malloc(name_length + value_length + 2);
  if (!entry) return false;
  memcpy(entry, name, name_length);
  entry[name_length] = '=';
  memcpy(entry + name_length + 1, value, value_length + 1);
  uint32_t *slot = find(e, name, name_length);
  if (*slot) {
    free(e->entries[*slot - 1]);
    e->entries[*slot - 1] = entry;
    return true;
  }
  e->entries[e->count++] = entry;
  e->entries[e->count] = NULL;
  *slot = (uint32_t)e->count;
  return true;
}

void environment_free(struct environment *e) {
  for (size_t i = 0; i < e->count; i++) free(e->entries[i]);
  free(e->entries);
  free(e->slots);
  memset(e, 0, sizeof *e);
}
