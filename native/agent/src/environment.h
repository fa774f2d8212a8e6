// The environment of a command: a list of "NAME=value" with each name once.
#ifndef BANGER_ENVIRONMENT_H
#define BANGER_ENVIRONMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** All zero is an empty one. */
struct environment {
  char **entries;  // NULL-terminated after the first entry; the list owns each string
  size_t count, capacity;
  uint32_t *slots;  // hash table of entry numbers + 1, twice the capacity: a request may have a hundred thousand names
};

/** Sets or replaces. False: not a name, or no memory. */
bool environment_set(struct environment *e, const char *name, size_t name_length, const char *value);
void environment_free(struct environment *e);

#endif
