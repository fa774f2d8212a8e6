// One member of the archive and its header: ustar, with pax records for what does not fit. Source: POSIX.1-2017, pax, and the GNU
// tar manual, "Storing Sparse Files" (format 1.0). Nanoseconds stand as nine digits in the twelve bytes that ustar leaves unused.
#ifndef BANGER_COPY_ENTRY_H
#define BANGER_COPY_ENTRY_H
#include "buffer.h"
#include <sys/stat.h>

#define COPY_PATH_MAX_BYTES 65536

enum copy_kind { COPY_FILE = '0', COPY_HARD_LINK = '1', COPY_LINK = '2', COPY_DIRECTORY = '5' };

struct copy_entry {
  enum copy_kind kind;
  char path[COPY_PATH_MAX_BYTES];  // of the root: "./"; of others: "./a/b"; of a single file: its name
  char link[COPY_PATH_MAX_BYTES];  // what a link says; of a hard link the path of the first name
  unsigned mode, uid, gid;         // mode: permission bits
  int64_t size;                    // of the content in the archive, bytes
  int64_t real_size;               // of a sparse file, bytes; -1: it is not sparse
  int64_t seconds;                 // since 1970, may be negative
  long nanoseconds;
  bool appends;                    // the content goes behind that of the file before
  struct buffer xattrs;            // name, NUL, length (size_t), value; one after the other
};

void copy_entry_init(struct copy_entry *e);
/** Forgets everything but the memory it has. */
void copy_entry_clear(struct copy_entry *e);
void copy_entry_from(struct copy_entry *e, enum copy_kind kind, const struct stat *st);
/** False when there is no room. */
bool copy_entry_add_xattr(struct copy_entry *e, const char *name, const void *value, size_t length);
/** Steps through the attributes: `*at` begins at 0. False at their end. */
bool copy_entry_next_xattr(const struct copy_entry *e, size_t *at, const char **name, const void **value, size_t *length);

/** Writes the header blocks; the content and its padding are the caller's. */
void copy_entry_write(const struct copy_entry *e);
/** Says that the file before is only `size` bytes long; the rest of its content was made up. */
void copy_write_cut(int64_t size);
void copy_write_end(void);

enum copy_read { COPY_READ_ENTRY, COPY_READ_CUT, COPY_READ_END };
/** Reads the next header; COPY_READ_CUT leaves the size in `size`. Ends the process when it is malformed. */
enum copy_read copy_entry_read(struct copy_entry *e);

#endif
