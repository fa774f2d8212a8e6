// The content of a container image's /run, into which its programs write: /run/sshd, /run/postgresql, /run/lock.
#ifndef BANGER_RUN_TREE_H
#define BANGER_RUN_TREE_H

/**
 * Copies directories, small files, links and pipes with their modes and owners, never through a link. `from` and `to` are open directories;
 * `from` is closed. Returns 0, or the errno of the first failure; everything else is copied.
 */
int run_tree_copy(int from, int to);

#endif
