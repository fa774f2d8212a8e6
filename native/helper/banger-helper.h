// What the parts of banger-helper share. It serves requests one by one in one thread, so the state of a request is kept in one place
// (answer.h). Functions that return int return 0, or -1 with errno.
#ifndef BANGER_HELPER_H
#define BANGER_HELPER_H

#include "answer.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define HELPER_VERSION 1
// The limit for each kind: no developer reaches it, and no host suffers from it.
#define OBJECTS_PER_USER 64

// --- who asks (settings.c) ---

#define MAX_GROUPS 64
struct peer {
  uid_t uid;
  gid_t gid;
  gid_t groups[MAX_GROUPS];
  size_t group_count;
};

void settings_use(const char *path);
// Reads the settings again. Without the file, only root is allowed; a file that users other than root could have written is refused.
int settings_read(void);
// The rest of the first line that begins with `name`, or NULL; valid until settings_read.
const char *settings_value(const char *name);
bool peer_allowed(uid_t uid);
// The user at the other end, as the kernel recorded when it connected.
int peer_of_socket(int fd, struct peer *peer);

// --- requests (dispatch.c) ---

// One row of a part's table. The number of words, and the id if there is one, are checked before `run` is called.
struct verb {
  // As in `overlay attach`.
  const char *words;
  int minimum, maximum;
  // Whether the first argument is a VM's short id.
  bool takes_id;
  // Requested often: only its failures are logged.
  bool quiet;
  int (*run)(const struct peer *peer, char **arguments, int count);
};

// A kind of objects that the helper can make. Members except `verbs` may be NULL.
struct part {
  const struct verb *verbs;
  // Adds a line about the abilities of this host to the reply to hello.
  void (*hello)(const struct peer *peer);
  // Adds a line for each object that the peer may see: its own, all for root.
  void (*list)(const struct peer *peer);
  // Begins with the record of an earlier helper.
  void (*resume)(void);
  // Adds descriptors to wait for, at most PART_DESCRIPTORS; returns how many.
  int (*descriptors)(struct pollfd *descriptors);
  // How long the loop may wait, in ms; -1: for ever.
  int (*timeout_ms)(void);
  // Called after each wait.
  void (*tick)(void);
};
#define PART_DESCRIPTORS 4

// Runs one request line (which it cuts up) and returns the whole reply with its length. Writes one line to the log.
const char *dispatch(const struct peer *peer, char *line, size_t *length);
size_t dispatch_parts(const struct part *const **parts);

// 8 lower-case hex digits.
#define ID_LENGTH 8
bool id_valid(const char *text);

// --- the record (record.c) ---
// One line for each object, written before it is made and removed after it is gone: KIND UID ID VALUES. The file disappears with a reboot,
// like the objects.

struct object {
  char kind[12];
  uid_t uid;
  // A short id, or `-` if there is only one of the kind.
  char id[ID_LENGTH + 1];
  // Words of the kind's own, without newline.
  char values[112];
};

// Reads the record of an earlier helper.
int record_open(const char *path);
bool record_empty(void);
// Pointers are valid until the next put or drop.
const struct object *record_find(const char *kind, const char *id);
// The object after `previous` (NULL: the first); `kind` NULL: of any kind.
const struct object *record_next(const struct object *previous, const char *kind);
size_t record_count(const char *kind, uid_t uid);
// Finds an object that must belong to the peer (or the peer is root). ENOENT, or EPERM with a reason.
const struct object *record_own(const char *kind, const char *id, const struct peer *peer);
// Adds or replaces an object. EDQUOT with a reason if the user has OBJECTS_PER_USER of this kind.
int record_put(const char *kind, uid_t uid, const char *id, const char *values);
// A missing object is no error.
int record_drop(const char *kind, const char *id);

// --- claims (claims.c) ---
// A user names files by links in a directory of its own. The helper opens them with that user's rights, and from then on only uses the
// descriptors.

enum claim_use {
  CLAIM_READ,
  // The file must belong to the peer.
  CLAIM_WRITE,
};

void claims_use(const char *run_directory);
// Makes the peer's directory; `path` of at least 64 bytes.
int claims_directory(const struct peer *peer, char *path, size_t size);
// Opens the regular file to which DIRECTORY/ID/NAME leads. Returns a descriptor.
int claim_open(const struct peer *peer, const char *id, const char *name, enum claim_use use, struct stat *file);
// Allocates `size` bytes for the file, with the rights and limits of the peer. Never shrinks it.
int claim_allocate(const struct peer *peer, int fd, uint64_t size);

// --- failures on purpose (faults.c), in test builds alone ---

#ifdef HELPER_FAULTS
// Counts the steps of `area` within a request; -1 with EIO if BANGER_HELPER_FAULT=AREA:N names this one. With :crash after N, the process
// ends there.
int fault(const char *area);
void faults_begin(void);
#else
static inline int fault(const char *area) {
  (void)area;
  return 0;
}
static inline void faults_begin(void) {}
#endif

// --- the loop (server.c) ---

// Serves until SIGTERM; `activated`: the socket came from systemd, and the helper ends once it has nothing to watch.
int serve(int listener, bool activated);

extern const struct part overlay_part;
extern const struct part network_part;
extern const struct part jail_part;

#endif
