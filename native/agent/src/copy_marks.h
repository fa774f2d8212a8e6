// Directories in which a copy out of a guest put links are marked, so that later copies do not follow these. The mark is an attribute
// of the directory; a file system without user attributes has none, and moving a link elsewhere leaves its mark behind.
#ifndef BANGER_COPY_MARKS_H
#define BANGER_COPY_MARKS_H
#include <stdbool.h>

/** Says of an open directory that a guest's links are in it. */
void copy_mark_links(int directory);
/** Whether an attribute is the mark, which is no part of what is copied. */
bool copy_is_mark(const char *name);
/** Whether a link leads out of the directory that it lies in; what it leads to is then in `real`, PATH_MAX long. False for a link to nothing. */
bool copy_leads_elsewhere(const char *link, char *real);
/** Ends the process when one of a guest's links on the way of `path` leads elsewhere. `has_last`: the last part may be such a link, too. */
void copy_refuse_marked_way(const char *path, bool has_last);

#endif
