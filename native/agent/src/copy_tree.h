// The open directories of a copy, from its root to the current entry. Only these descriptors lead there, so neither the sender nor a
// program that changes the target meanwhile can lead a copy out of it.
#ifndef BANGER_COPY_TREE_H
#define BANGER_COPY_TREE_H
#include "copy.h"
#include "copy_entry.h"

/** Begins at an open directory. `shown` is its path for messages; `is_new`: this copy has made it. */
void copy_tree_begin(int root, const char *shown, bool is_new, const struct copy_receive_options *options);
/** Enters the directory of `path`, and makes missing ones. `name`: the last part of the path, "" for the root. */
int copy_tree_parent(const char *path, char *name, size_t capacity);
/** Makes and enters the directory of an entry. An existing directory keeps its metadata. */
void copy_tree_directory(const struct copy_entry *e);
/**
 * Ends the process if the current directory has `name` of this copy in another spelling, for example in a file system that ignores case: one of two
 * files would be lost. Files from before this copy may have any spelling.
 */
void copy_tree_refuse_same_name(const char *name, const char *path);
/** Leaves all directories; every new one gets its mode and time when the copy leaves it. */
void copy_tree_end(void);
/** Opens the directory of `path` without making anything; the caller closes it. */
int copy_tree_find(const char *path, char *name, size_t capacity);
/** The path for messages; valid until the next call. */
const char *copy_tree_shown(const char *path);

/** Metadata that a directory gets when the copy leaves it: with its own mode it might not be writable. */
struct copy_rights {
  unsigned mode, uid, gid;
  struct timespec time;
};
struct copy_rights copy_rights_of(const struct copy_entry *e);
void copy_give_rights(int fd, const struct copy_rights *rights, bool keeps_owners, const char *shown);

/** Attributes of `user.`; the others give rights, so they come after the owners. */
void copy_give_plain_xattrs(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown);
void copy_give_other_xattrs(int fd, const struct copy_entry *e, const char *shown);
/** Sets owner, mode, attributes and time of a file as its entry says. */
void copy_give_metadata(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown);
void copy_give_link_owner(int parent, const char *name, const struct copy_entry *e, const char *shown);

#endif
