// The jail of one VMM: a chroot, a user of its own and a cgroup, made by Firecracker's `jailer` and taken apart by the helper.
//
//   DIRECTORY/firecracker/bgr-ID/  the jailer's layout, root's
//     held/                        a second link of each disk that was given to the VMM; its name says how it was before:
//                                  `disk0.GID.MODE.link`, or `….mount` for an empty file that stands for a disk elsewhere
//     root/                        what the VMM sees as /: the jailer gives it to the VMM, tree_seal takes it back
//       kernel initramfs disk0 … firecracker dev/
//       run/                       sockets and pipes that VMM and owner have in common
#ifndef JAIL_H
#define JAIL_H

#include "banger-helper.h"

#define JAIL_DISKS 8

// Of /etc/banger/helper.conf; valid within one request.
struct jail_settings {
  const char *jailer;
  const char *firecracker;
  const char *directory;
  // Users of jails; each has a group of the same number.
  uid_t first_uid;
  unsigned uid_count;
};

struct jail {
  struct peer owner;
  char id[ID_LENGTH + 1];
  // The user and group of the VMM.
  uid_t uid;
  pid_t pid;
  // Field 22 of /proc/PID/stat.
  unsigned long long start;
};

struct jail_size {
  unsigned vcpus;
  unsigned memory_mib;
};

// Descriptors whose locks keep other VMMs from the disks that this jail's VMM writes to.
struct jail_locks {
  int fds[JAIL_DISKS];
  int count;
};

// --- jail-settings.c ---

// EINVAL with a reason if they are inconsistent.
int jail_settings_read(struct jail_settings *settings);
bool jail_owns_gid(const struct jail_settings *settings, gid_t gid);

// --- jail-tree.c ---

// Descriptors of bgr-ID, held, root and root/run; -1 where it is not open.
struct jail_tree {
  int top, held, root, run;
};

// Checks that only root can change the file at `path`: each part of the path belongs to root, nobody else may write there, and none is a
// link. Otherwise -1 with a reason.
int path_check(const char *path);
// The jailer names a directory after the program.
const char *program_name(const char *path);
int tree_make(const struct jail_settings *settings, const struct jail *jail, struct jail_tree *tree);
// ENOENT if there is no such jail; parts of it may be missing.
int tree_open(const struct jail_settings *settings, const struct jail *jail, struct jail_tree *tree);
void tree_close(struct jail_tree *tree);
// Takes the tree from the VMM, which from now on only writes to run/, and lets the owner reach run/.
int tree_seal(const struct jail *jail, const struct jail_tree *tree);
// Follows no link and stays on its file system, whatever the VMM or the owner put there. A missing jail is no error.
int tree_remove(const struct jail_settings *settings, const struct jail *jail);

// --- jail-files.c ---

// Puts the claimed files into the chroot, and locks those that the VMM writes to; the caller closes the locks, also on failure.
int files_put(const struct jail_settings *settings, const struct jail *jail, const struct jail_tree *tree, struct jail_locks *locks);
// Restores the disks, and unmounts them.
int files_give_back(const struct jail_settings *settings, const struct jail_tree *tree);

// --- jail-process.c ---

int cgroup_make(const struct jail *jail);
// Ends every process in it, waits for their end, and removes it. A missing one is no error.
int cgroup_end(const struct jail *jail);
// Leaves a process in the cgroup that only holds the locks, until the cgroup ends.
int locks_keep(const struct jail *jail, const struct jail_locks *locks);
void locks_close(struct jail_locks *locks);
// Starts the jailer, which becomes the VMM, inside the cgroup; fills in pid and start. netns: -1 for none.
int vmm_launch(const struct jail_settings *settings, struct jail *jail, const struct jail_size *size, int netns, int log);
// Waits until its API socket exists. EIO with a reason if the VMM ends instead.
int vmm_await(const struct jail *jail, const struct jail_tree *tree);
// Whether exactly this process still runs.
bool vmm_runs(const struct jail *jail);
// Whether the exit status of a VMM is available: only its parent gets it, once.
bool vmm_status(const struct jail *jail, int *wait_status);
// Opens the network namespace of a process. EPERM with a reason if it is not in a user namespace of this user.
int netns_open(pid_t pid, uid_t uid);

#endif
