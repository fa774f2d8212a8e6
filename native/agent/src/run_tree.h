// What a container image has below /run, where its programs expect to write: /run/sshd, /run/postgresql, /run/lock.
#ifndef BANGER_RUN_TREE_H
#define BANGER_RUN_TREE_H

/**
 * Copies directories, small files, links and pipes with their modes and owners, never through a link. `from` and `to` are open
 * directories; `from` is closed. 0, or the errno of what could not be copied first; the rest is there.
 */
int run_tree_copy(int from, int to);

#endif
