// Where a copy goes, by the rules of cp(1): docs/copying.md has them as a table.
#ifndef BANGER_COPY_TARGET_H
#define BANGER_COPY_TARGET_H
#include "copy.h"
#include <limits.h>

struct copy_target {
  int directory;            // open; in it, or in `name` of it, the copy is
  char name[NAME_MAX + 1];  // "" when the directory itself takes what is in the source
  char shown[PATH_MAX];     // of the whole, for messages
  bool may_follow;          // the person named what is there, or it is in a guest, where its links lead
};

/** Ends the process when the copy cannot go there. */
void copy_find_target(const struct copy_receive_options *options, bool is_directory, struct copy_target *target);

#endif
