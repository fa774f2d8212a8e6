// Marks directories in which a copy out of a guest put links, so that later copies do not follow them. The mark is an attribute of the
// directory. File systems without user attributes cannot have it, and a link that is moved elsewhere leaves its mark behind.
#ifndef BANGER_COPY_MARKS_H
#define BANGER_COPY_MARKS_H
#include <stdbool.h>

/** Marks an open directory: it contains links of a guest. */
void copy_mark_links(int directory);
/** Whether an attribute is the mark, which is not copied. */
bool copy_is_mark(const char *name);
/** Whether a link leads out of its own directory; its target is then in `real`, PATH_MAX long. False for a dangling link. */
bool copy_leads_elsewhere(const char *link, char *real);
/** Ends the process if a guest's link in `path` leads elsewhere. `has_last`: the last part may be such a link, too. */
void copy_refuse_marked_way(const char *path, bool has_last);

#endif
