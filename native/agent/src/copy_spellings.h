// Which names of a directory that was there before came with this copy: where upper and lower case are the same, a second spelling of one of
// them would take the place of its file.
#ifndef BANGER_COPY_SPELLINGS_H
#define BANGER_COPY_SPELLINGS_H
#include <stdbool.h>
#include <stddef.h>

struct copy_spelling;

/** Of one directory; begins with zeros. */
struct copy_spellings {
  struct copy_spelling *table;
  size_t capacity, used;
  bool is_listed;  // what was there before is in it, too
};

/**
 * Remembers that `name` of the open directory came with the copy. True, and it is not remembered, when it leads by another spelling to a
 * file that did. Ends the process without memory.
 */
bool copy_spelling_is_taken(struct copy_spellings *s, int directory, const char *name);
void copy_spellings_free(struct copy_spellings *s);

#endif
