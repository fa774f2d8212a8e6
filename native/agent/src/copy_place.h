// Creates the files and links of a copy at their paths.
#ifndef BANGER_COPY_PLACE_H
#define BANGER_COPY_PLACE_H
#include "copy.h"
#include "copy_entry.h"

/** The file whose content arrives now. There is at most one; copy_file_end completes it. */
struct copy_place {
  int parent;          // directory, open for as long
  const char *name;    // in it
  const char *shown;   // for messages
  bool is_whole_copy;  // the copy is this one file, which appears once it is complete
  bool may_follow;     // follow a link there
};

void copy_file_begin(const struct copy_place *place, const struct copy_entry *e, const struct copy_receive_options *options);
/** A file that is only passed on. */
void copy_file_begin_on(int fd, const char *shown);
/** Reads the content of an entry from the stream, with its padding. */
void copy_file_content(const struct copy_entry *e);
/** Copies it from another file of this system, with its attributes. */
void copy_file_content_from(int fd);
void copy_file_cut(int64_t size);
/** Does nothing if no file was begun. */
void copy_file_end(void);

void copy_place_link(int parent, const char *name, const struct copy_entry *e, const char *shown);
/**
 * Makes a hard link to a file that was copied. If that is impossible, returns the first file, open for reading, to copy it instead;
 * otherwise -1. `may_follow`: the first name may be a link through which a file was copied.
 */
int copy_place_hard_link(int parent, const char *name, const struct copy_entry *e, bool may_follow);

#endif
