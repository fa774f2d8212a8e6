// The content of one file on its way out.
#ifndef BANGER_COPY_FILE_H
#define BANGER_COPY_FILE_H
#include "copy_entry.h"

/** Writes the entry of an open file with its content, whatever the file does meanwhile. `shown` is its path for messages. */
void copy_send_file(struct copy_entry *e, int fd, const struct stat *st, const char *shown);
/** Writes the entry of something that is read to its end: a pipe, a file of /proc. */
void copy_send_stream(struct copy_entry *e, int fd, const char *shown);
/** Adds what attributes an open file or directory has. */
void copy_read_xattrs(struct copy_entry *e, int fd, const char *shown);

#endif
