// What went wrong, kept and named.
#ifndef COMMON_ERRORS_H
#define COMMON_ERRORS_H

#include <errno.h>

// Undoing must not hide what went wrong first: keeps errno over `undo`.
#define KEEPING_ERRNO(undo)   \
  do {                        \
    int error_before = errno; \
    undo;                     \
    errno = error_before;     \
  } while (0)

// As `EACCES`; `EOTHER` for what no request of banger's fails with.
const char *errno_name(int error);

#endif
