// One member of the archive and its header: ustar, with pax records for values that do not fit. Source: POSIX.1-2017, pax, and the GNU tar
// manual, "Storing Sparse Files" (format 1.0). Nanoseconds are nine digits in the twelve bytes that ustar leaves unused.
#ifndef BANGER_COPY_ENTRY_H
#define BANGER_COPY_ENTRY_H
#include "buffer.h"
#include <sys/stat.h>

#define COPY_PATH_MAX_BYTES 65536

enum copy_kind { COPY_FILE = '0', COPY_HARD_LINK = '1', COPY_LINK = '2', COPY_DIRECTORY = '5' };

struct copy_entry {
  enum copy_kind kind;
  char path[COPY_PATH_MAX_BYTES];  // of the root: "./"; of others: "./a/b"; of a single file: its name
  char link[COPY_PATH_MAX_BYTES];  // the target of a link; for a hard link, the path of the first name
  unsigned mode, uid, gid;         // mode: permission bits
  int64_t size;                    // of the content in the archive, bytes
  int64_t real_size;               // of a sparse file, bytes; -1: it is not sparse
  int64_t seconds;                 // since 1970, may be negative
  long nanoseconds;
  bool appends;                    // the content is appended to the previous file
  struct buffer xattrs;            // name, NUL, length (size_t), value; one after the other
};

void copy_entry_init(struct copy_entry *e);
/** Resets the entry, but keeps its memory. */
void copy_entry_clear(struct copy_entry *e);
void copy_entry_from(struct copy_entry *e, enum copy_kind kind, const struct stat *st);
/** False if there is no room. */
bool copy_entry_add_xattr(struct copy_entry *e, const char *name, const void *value, size_t length);
/** Iterates over the attributes: `*at` begins at 0. False at the end. */
bool copy_entry_next_xattr(const struct copy_entry *e, size_t *at, const char **name, const void **value, size_t *length);

/** Writes the header blocks; the caller writes the content and its padding. */
void copy_entry_write(const struct copy_entry *e);
/** Whether the archive is for programs other than ours. */
extern bool copy_is_for_others;
/** Reports that the previous file is only `size` bytes long; the rest of its content was padding. */
void copy_write_cut(int64_t size);
void copy_write_end(void);

enum copy_read { COPY_READ_ENTRY, COPY_READ_CUT, COPY_READ_END };
/** Reads the next header; COPY_READ_CUT stores the size in `size`. Ends the process if it is malformed. */
enum copy_read copy_entry_read(struct copy_entry *e);

#endif
