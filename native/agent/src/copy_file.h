// The content of a sent file.
#ifndef BANGER_COPY_FILE_H
#define BANGER_COPY_FILE_H
#include "copy_entry.h"

/** Writes the entry of an open file with its content, even if the file changes meanwhile. `shown` is its path for messages. */
void copy_send_file(struct copy_entry *e, int fd, const struct stat *st, const char *shown);
/** Writes the entry of a file that is read to its end: a pipe, a file of /proc. */
void copy_send_stream(struct copy_entry *e, int fd, const char *shown);
/** Adds the attributes of an open file or directory. */
void copy_read_xattrs(struct copy_entry *e, int fd, const char *shown);

#endif
