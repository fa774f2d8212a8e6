// Determines the target of a copy, by the rules of cp(1): docs/copying.md has them as a table.
#ifndef BANGER_COPY_TARGET_H
#define BANGER_COPY_TARGET_H
#include "copy.h"
#include <limits.h>

struct copy_target {
  int directory;            // an open directory: the copy goes into it, or into `name` in it
  char name[NAME_MAX + 1];  // "" if the source's contents go directly into the directory
  char shown[PATH_MAX];     // of the whole, for messages
  bool may_follow;          // the user named an existing file, or it is in a guest, where its links apply
};

/** Ends the process if the copy cannot go there. */
void copy_find_target(const struct copy_receive_options *options, bool is_directory, struct copy_target *target);

#endif
