// The content of a received file: all of it, or the pieces of a sparse one.
#ifndef BANGER_COPY_CONTENT_H
#define BANGER_COPY_CONTENT_H
#include "copy_entry.h"

/** `can_seek`: holes are skipped; otherwise they are written as zeros. */
void copy_content_begin(int fd, const char *shown, bool can_seek);
void copy_content_take(const struct copy_entry *e);
/** The whole content of another file, without its holes. */
void copy_content_copy(int from);
void copy_content_cut(int64_t size);
void copy_content_end(void);

#endif
