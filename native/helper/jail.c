// A VMM of one VM in a jail. Needs the claims that jail-files.c takes, and `log`: a file of the user, to which the VMM's
// stdout and stderr are appended.
//
//   jail start ID VCPUS MEMORY_MIB host         in the host's own network
//   jail start ID VCPUS MEMORY_MIB netns PID    in the network namespace of that process, which must be the user's
//       `jail ID pid=N start=N uid=N root=PATH`: the process, and what it sees as /; its API answers at PATH/run/api.sock
//   jail stop ID
//       ends it and removes all of it; `exit status=N` or `exit signal=N` when the helper was its parent. None is fine.
//
// Settings, with what they are when they are absent:
//   jailer /usr/local/lib/banger-jail/jailer       firecracker /usr/local/lib/banger-jail/firecracker
//   jail-directory /var/lib/banger-jail            jail-uids 2000000 1000    (the first, and how many)
//
// A VMM that ended by itself stays as it is until `jail stop`: its pid is not used again before its status was asked for.
#include "jail.h"
#include "common/links.h"
#include "common/constants.h"
#include "common/errors.h"
#include "common/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIND "jail"
#define MAX_MEMORY_MIB (16U << 20)

static int check_programs(const struct jail_settings *settings) {
  return path_check(settings->jailer) == 0 ? path_check(settings->firecracker) : -1;
}

// --- record: `uid=N pid=N start=N` ---

static bool parse_jail(const struct object *object, struct jail *jail) {
  *jail = (struct jail){.owner = {.uid = object->uid}};
  snprintf(jail->id, sizeof jail->id, "%s", object->id);
  return sscanf(object->values, "uid=%u pid=%d start=%llu", &jail->uid, &jail->pid, &jail->start) == 3;
}

static int record_jail(const struct jail *jail) {
  char values[96];
  snprintf(values, sizeof values, "uid=%u pid=%d start=%llu", jail->uid, (int)jail->pid, jail->start);
  return fault("jail") == 0 ? record_put(KIND, jail->owner.uid, jail->id, values) : -1;
}

static bool uid_taken(uid_t uid) {
  struct jail jail;
  for (const struct object *object = record_next(NULL, KIND); object != NULL; object = record_next(object, KIND))
    if (parse_jail(object, &jail) && jail.uid == uid) return true;
  return false;
}

static int choose_uid(const struct jail_settings *settings, struct jail *jail) {
  for (unsigned i = 0; i < settings->uid_count; i++) {
    jail->uid = settings->first_uid + i;
    if (!uid_taken(jail->uid)) return 0;
  }
  return refuse(EDQUOT, "all %u users of jail-uids are taken", settings->uid_count);
}

// Lets processes of this user open the VM's TAP in the host's network, if it has one there.
static int give_tap(const struct jail *jail, uid_t uid) {
  char name[IFNAMSIZ];
  const struct object *tap = record_find("tap", jail->id);
  snprintf(name, sizeof name, HOST_NAME_PREFIX "%s", jail->id);
  // Another user's VM may have the same short id.
  if (tap == NULL || tap->uid != jail->owner.uid || if_nametoindex(name) == 0) return 0;
  return fault("jail") == 0 ? tap_make(name, uid) : -1;
}

// --- end ---

// Takes apart the present parts of a jail; its record is removed last, so that a failure can be retried.
static int remove_jail(const struct jail_settings *settings, const struct jail *jail) {
  struct jail_tree tree;
  if (cgroup_end(jail) != 0) return -1;
  int result = give_tap(jail, jail->owner.uid);
  if (tree_open(settings, jail, &tree) == 0) {
    if (files_give_back(settings, &tree) != 0) result = -1;
    tree_close(&tree);
  } else if (errno != ENOENT) result = -1;
  // Without it, the owner of the disks would be unknown.
  if (result == 0) result = tree_remove(settings, jail);
  return result == 0 ? record_drop(KIND, jail->id) : -1;
}

static int stop_verb(const struct peer *peer, char **arguments, int count) {
  (void)count;
  struct jail_settings settings;
  struct jail jail;
  int status;
  if (jail_settings_read(&settings) != 0) return -1;
  const struct object *object = record_own(KIND, arguments[0], peer);
  if (object == NULL) return errno == ENOENT ? 0 : -1;
  if (!parse_jail(object, &jail)) return refuse(EINVAL, "the record of jail %s means nothing", object->id);
  if (cgroup_end(&jail) != 0) return -1;
  bool known = vmm_status(&jail, &status);
  if (remove_jail(&settings, &jail) != 0) return -1;
  if (known && WIFSIGNALED(status)) say("exit signal=%d", WTERMSIG(status));
  else if (known) say("exit status=%d", WEXITSTATUS(status));
  return 0;
}

// --- start ---

struct request {
  struct jail_size size;
  // Whose network namespace; 0: the host's.
  pid_t network;
};

static int parse_request(char **words, int count, struct request *request) {
  uint64_t vcpus, memory, pid = 0;
  bool host = count == 4 && strcmp(words[3], "host") == 0;
  bool other = count == 5 && strcmp(words[3], "netns") == 0 && parse_number(words[4], INT32_MAX, &pid) && pid > 0;
  if ((!host && !other) || !parse_number(words[1], LIMIT_VCPUS, &vcpus) || vcpus == 0 || !parse_number(words[2], MAX_MEMORY_MIB, &memory) || memory == 0)
    return refuse(EINVAL, "jail start takes ID VCPUS MEMORY_MIB and host, or netns and a process");
  *request = (struct request){.size = {(unsigned)vcpus, (unsigned)memory}, .network = (pid_t)pid};
  return 0;
}

// Removes leftovers of this VM's earlier jails, also from before the host's last boot, which are in no record.
static int remove_leftovers(const struct jail_settings *settings, const struct peer *peer, const char *id) {
  struct jail earlier = {.owner = *peer};
  snprintf(earlier.id, sizeof earlier.id, "%s", id);
  const struct object *object = record_own(KIND, id, peer);
  if (object == NULL && errno != ENOENT) return -1;
  if (object != NULL && parse_jail(object, &earlier) && vmm_runs(&earlier)) return refuse(EEXIST, "the VMM of %s runs already", id);
  int status;
  if (object != NULL) vmm_status(&earlier, &status);
  return remove_jail(settings, &earlier);
}

static int open_log(const struct jail *jail) {
  struct stat file;
  int fd = fault("jail") == 0 ? claim_open(&jail->owner, jail->id, "log", CLAIM_WRITE, &file) : -1;
  if (fd < 0) return -1;
  if (fcntl(fd, F_SETFL, O_APPEND) == 0) return fd;
  KEEPING_ERRNO(close(fd));
  return -1;
}

static int launch(const struct jail_settings *settings, struct jail *jail, const struct request *request, int netns, const struct jail_tree *tree) {
  struct jail_locks locks = {.count = 0};
  int result = -1, log = open_log(jail);
  if (log < 0 || files_put(settings, jail, tree, &locks) != 0 || give_tap(jail, jail->uid) != 0 || cgroup_make(jail) != 0) goto done;
  if (locks_keep(jail, &locks) != 0 || vmm_launch(settings, jail, &request->size, netns, log) != 0 || record_jail(jail) != 0) goto done;
  if (vmm_await(jail, tree) == 0) result = tree_seal(jail, tree);
done:
  locks_close(&locks);
  if (log >= 0) KEEPING_ERRNO(close(log));
  return result;
}

static int build(const struct jail_settings *settings, struct jail *jail, const struct request *request, int netns) {
  struct jail_tree tree;
  int status, result = -1;
  if (choose_uid(settings, jail) != 0 || record_jail(jail) != 0) return -1;
  if (tree_make(settings, jail, &tree) == 0) {
    result = launch(settings, jail, request, netns, &tree);
    tree_close(&tree);
  }
  if (result == 0) return 0;
  KEEPING_ERRNO({
    remove_jail(settings, jail);
    vmm_status(jail, &status);
  });
  return -1;
}

static void say_jail(const struct jail_settings *settings, const struct jail *jail) {
  say("jail %s pid=%d start=%llu uid=%u root=%s/%s/" HOST_NAME_PREFIX "%s/root", jail->id, (int)jail->pid, jail->start, jail->uid, settings->directory,
      program_name(settings->firecracker), jail->id);
}

static int start_verb(const struct peer *peer, char **arguments, int count) {
  struct jail_settings settings;
  struct request request;
  struct jail jail = {.owner = *peer};
  snprintf(jail.id, sizeof jail.id, "%s", arguments[0]);
  if (jail_settings_read(&settings) != 0 || check_programs(&settings) != 0 || parse_request(arguments, count, &request) != 0) return -1;
  if (remove_leftovers(&settings, peer, jail.id) != 0) return -1;
  int netns = request.network == 0 ? -1 : netns_open(request.network, peer->uid);
  if (request.network != 0 && netns < 0) return -1;
  int result = build(&settings, &jail, &request, netns);
  if (netns >= 0) KEEPING_ERRNO(close(netns));
  if (result == 0) say_jail(&settings, &jail);
  return result;
}

// --- what can be seen ---

// `jail ready=yes|no root=PATH`: where the jails are; %s stands for a VM's short id.
static void hello(const struct peer *peer) {
  (void)peer;
  struct jail_settings settings;
  if (jail_settings_read(&settings) != 0) return;
  bool ready = check_programs(&settings) == 0 && access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  say("jail ready=%s jails=%s/%s", ready ? "yes" : "no", settings.directory, program_name(settings.firecracker));
}

static void list(const struct peer *peer) {
  struct jail_settings settings;
  struct jail jail;
  if (jail_settings_read(&settings) != 0) return;
  for (const struct object *object = record_next(NULL, KIND); object != NULL; object = record_next(object, KIND))
    if ((peer->uid == 0 || object->uid == peer->uid) && parse_jail(object, &jail)) say_jail(&settings, &jail);
}

static const struct verb verbs[] = {
    {.words = "jail start", .minimum = 3, .maximum = 4, .takes_id = true, .run = start_verb},
    {.words = "jail stop", .takes_id = true, .run = stop_verb},
    {0},
};

const struct part jail_part = {.verbs = verbs, .hello = hello, .list = list};
