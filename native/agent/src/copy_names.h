// Names of hard links that were sent, by device and inode.
#ifndef BANGER_COPY_NAMES_H
#define BANGER_COPY_NAMES_H
#include <sys/stat.h>

/** The path under which this file was sent before; NULL, and `path` is remembered, when it was not. */
const char *copy_first_name(const struct stat *st, const char *path);

#endif
