// Puts files and links of a copy to where they belong.
#ifndef BANGER_COPY_PLACE_H
#define BANGER_COPY_PLACE_H
#include "copy.h"
#include "copy_entry.h"

/** The file whose content comes. At most one; it is complete with copy_file_end. */
struct copy_place {
  int parent;          // directory, open for as long
  const char *name;    // in it
  const char *shown;   // for messages
  bool is_whole_copy;  // the copy is this one file, which appears when it is whole
  bool may_follow;     // a link there is followed
};

void copy_file_begin(const struct copy_place *place, const struct copy_entry *e, const struct copy_receive_options *options);
/** A file that is only passed on. */
void copy_file_begin_on(int fd, const char *shown);
/** Takes the content of an entry out of the stream, with its padding. */
void copy_file_content(const struct copy_entry *e);
/** Takes it from another file of this system, with its attributes. */
void copy_file_content_from(int fd);
void copy_file_cut(int64_t size);
/** Does nothing when no file was begun. */
void copy_file_end(void);

void copy_place_link(int parent, const char *name, const struct copy_entry *e, const char *shown);
/**
 * Makes another name of a file that was copied. Where there can be none, the first one is returned, open for reading, to be copied
 * instead; else -1. `may_follow`: the first name may be a link, which a file was copied through.
 */
int copy_place_hard_link(int parent, const char *name, const struct copy_entry *e, bool may_follow);

#endif
