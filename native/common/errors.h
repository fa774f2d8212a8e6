// Keeps and names errors.
#ifndef COMMON_ERRORS_H
#define COMMON_ERRORS_H

#include <errno.h>

// Undoing must not hide the first error: keeps errno over `undo`.
#define KEEPING_ERRNO(undo)   \
  do {                        \
    int error_before = errno; \
    undo;                     \
    errno = error_before;     \
  } while (0)

// The name of an errno, such as `EACCES`; `EOTHER` for those that no request of banger causes.
const char *errno_name(int error);

#endif
