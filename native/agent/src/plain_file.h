// Files of a guest that its owner may have replaced by something else.
#ifndef BANGER_PLAIN_FILE_H
#define BANGER_PLAIN_FILE_H
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

/**
 * Opens a regular file, through links, for reading. Anything else is refused and never waited for, as a pipe without a writer would be.
 * Returns the descriptor with `s` filled, or -1 with errno: EISDIR for a directory, EEXIST for other things that are no file.
 */
int plain_file_open(const char *path, struct stat *s);
/** The same as a stream; NULL with errno. */
FILE *plain_file_stream(const char *path);
/** As getpwnam(3), of /etc/passwd alone. NULL with errno, 0 when nobody has the name. The next call overwrites what it returns. */
struct passwd *plain_file_user(const char *name);

#endif
