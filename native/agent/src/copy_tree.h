// The directories of a copy that are open: the way from its root to where the stream is. Nothing but descriptors leads there, so that
// neither the sender nor somebody who changes the target meanwhile leads a copy out of it.
#ifndef BANGER_COPY_TREE_H
#define BANGER_COPY_TREE_H
#include "copy.h"
#include "copy_entry.h"

/** Begins at an open directory. `shown` is its path for messages; `is_new`: this copy has made it. */
void copy_tree_begin(int root, const char *shown, bool is_new, const struct copy_receive_options *options);
/** Goes to the directory in which `path` is, and makes what is missing. `name`: its last part, "" for the root. */
int copy_tree_parent(const char *path, char *name, size_t capacity);
/** Makes and enters the directory of an entry. One that is there stays what it is. */
void copy_tree_directory(const struct copy_entry *e);
/**
 * Ends the process when the directory in which the tree is has `name` by another spelling, as where upper and lower case are the same: one of
 * two files would be lost. What was in a directory before this copy may have any spelling.
 */
void copy_tree_refuse_same_name(const char *name, const char *path);
/** Leaves all; every new directory gets its mode and time when it is left. */
void copy_tree_end(void);
/** Opens, without making anything, the directory in which `path` is; the caller closes it. */
int copy_tree_find(const char *path, char *name, size_t capacity);
/** The path for messages; valid until the next call. */
const char *copy_tree_shown(const char *path);

/** What a directory gets when it is left: with its own mode it might not be written to. */
struct copy_rights {
  unsigned mode, uid, gid;
  struct timespec time;
};
struct copy_rights copy_rights_of(const struct copy_entry *e);
void copy_give_rights(int fd, const struct copy_rights *rights, bool keeps_owners, const char *shown);

/** Attributes of `user.`; the others, which give rights, need the owners and come after them. */
void copy_give_plain_xattrs(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown);
void copy_give_other_xattrs(int fd, const struct copy_entry *e, const char *shown);
/** Gives a file what its entry says of owner, mode, attributes and time. */
void copy_give_metadata(int fd, const struct copy_entry *e, bool keeps_owners, const char *shown);
void copy_give_link_owner(int parent, const char *name, const struct copy_entry *e, const char *shown);

#endif
