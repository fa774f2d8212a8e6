// A VM's private layer over an image: two loop devices, `bgr-ID-base` (the image and, behind its end, zeros) and `bgr-ID` (a
// snapshot of it, whose changes go to the user's file). Needs the claims `base` and `cow`.
//
//   overlay attach ID BYTES   makes it, BYTES large; the same again is fine
//   overlay detach ID         takes it apart; the files stay, with all that was written
//   overlay status ID         the line that attach and extend answer as well:
//                             `overlay device=PATH used=N size=N limit=N state=ok|overflow|invalid`, in bytes of the file of changes
//   overlay extend ID BYTES   gives that file BYTES of space, at most `limit`, which is enough for everything; never shrinks
//
// The space is taken from the file system ahead: a snapshot that finds none loses writes. When it is full all the same, what
// was written before stays (overflow), and attaching anew makes it usable.
#include "banger-helper.h"
#include "loop-device.h"
#include "mapper.h"
#include "common/constants.h"
#include "common/errors.h"
#include "common/lines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTOR 512
#define CHUNK_BYTES 4096
#define CHUNK_SECTORS (CHUNK_BYTES / SECTOR)
// The snapshot target's metadata of one chunk; a metadata chunk holds this many entries.
#define NOTES_PER_CHUNK (CHUNK_BYTES / 16)
#define MIB (UINT64_C(1) << 20)
#define STEP_BYTES (256 * MIB)
// If less is left, attach extends the file.
#define LEAST_LEFT_BYTES (128 * MIB)
#define BIND_TRIES 16

// A recorded overlay: `bytes=N base=LOOP cow=LOOP`, -1 for a loop device that is not chosen yet.
struct overlay {
  uid_t uid;
  char id[ID_LENGTH + 1];
  uint64_t bytes;
  int base_loop, cow_loop;
};

struct space {
  uint64_t used, size;
  const char *state;
};

enum { BASE, COW };

// --- names ---

#define NAME_SIZE 64
static void device_name(const struct overlay *overlay, char name[NAME_SIZE], const char *suffix) {
  snprintf(name, NAME_SIZE, HOST_NAME_PREFIX "%s%s", overlay->id, suffix);
}

static void device_uuid(const struct overlay *overlay, char uuid[NAME_SIZE], const char *suffix) {
  snprintf(uuid, NAME_SIZE, "banger-%u-%s%s", overlay->uid, overlay->id, suffix);
}

static void node_path(const struct overlay *overlay, char path[NAME_SIZE]) {
  snprintf(path, NAME_SIZE, HELPER_DEVICE_DIRECTORY "/%u/" HOST_NAME_PREFIX "%s", overlay->uid, overlay->id);
}

// --- the record ---

static int note(const struct overlay *overlay) {
  char values[96];
  snprintf(values, sizeof values, "bytes=%llu base=%d cow=%d", (unsigned long long)overlay->bytes, overlay->base_loop, overlay->cow_loop);
  return record_put("overlay", overlay->uid, overlay->id, values);
}

static bool parse(const struct object *object, struct overlay *overlay) {
  unsigned long long bytes;
  *overlay = (struct overlay){.uid = object->uid};
  memcpy(overlay->id, object->id, sizeof overlay->id);
  if (sscanf(object->values, "bytes=%llu base=%d cow=%d", &bytes, &overlay->base_loop, &overlay->cow_loop) != 3) return false;
  overlay->bytes = bytes;
  return true;
}

static int find_own(const struct peer *peer, const char *id, struct overlay *overlay) {
  const struct object *object = record_own("overlay", id, peer);
  if (object == NULL) return -1;
  return parse(object, overlay) ? 0 : refuse(EPROTO, "the record of %s means nothing", id);
}

// --- space ---

// Every chunk changed, their metadata, and a header.
static uint64_t space_limit(uint64_t bytes) {
  uint64_t chunks = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
  uint64_t all = (chunks + chunks / NOTES_PER_CHUNK + 4) * CHUNK_BYTES;
  return (all + MIB - 1) / MIB * MIB;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

static int read_space(const struct overlay *overlay, struct space *space) {
  char uuid[NAME_SIZE], text[128];
  unsigned long long used = 0, size = 0;
  device_uuid(overlay, uuid, "");
  if (mapper_status(uuid, text, sizeof text) != 0) return -1;
  // `USED/SIZE NOTES` in sectors, or a word.
  if (sscanf(text, "%llu/%llu", &used, &size) == 2) *space = (struct space){.used = used * SECTOR, .size = size * SECTOR, .state = "ok"};
  else *space = (struct space){.state = strcmp(text, "Overflow") == 0 ? "overflow" : "invalid"};
  return 0;
}

static int say_space(const struct overlay *overlay) {
  struct space space;
  char path[NAME_SIZE];
  node_path(overlay, path);
  if (read_space(overlay, &space) != 0) return -1;
  say("overlay device=%s used=%llu size=%llu limit=%llu state=%s", path, (unsigned long long)space.used, (unsigned long long)space.size,
      (unsigned long long)space_limit(overlay->bytes), space.state);
  return 0;
}

// --- making ---

static void loop_tag(const struct overlay *overlay, char tag[NAME_SIZE], int which) {
  device_name(overlay, tag, which == BASE ? "-base" : "-cow");
}

// The number is recorded before the device is bound; the tag shows a later helper whether it was.
static int bind_loop(struct overlay *overlay, int which, int file) {
  int *number = which == BASE ? &overlay->base_loop : &overlay->cow_loop;
  char tag[NAME_SIZE];
  loop_tag(overlay, tag, which);
  for (int attempt = 0; attempt < BIND_TRIES; attempt++) {
    *number = loop_free_number();
    if (*number < 0 || note(overlay) != 0 || fault("overlay") != 0) return -1;
    if (loop_bind(*number, file, tag, which == BASE) == 0) return fault("overlay");
    if (errno != EBUSY) return -1;
  }
  return -1;
}

static int make_base(const struct overlay *overlay, uint64_t base_bytes) {
  char name[NAME_SIZE], uuid[NAME_SIZE], parameters[64];
  dev_t device, loop = loop_device(overlay->base_loop);
  uint64_t base_sectors = base_bytes / SECTOR, sectors = overlay->bytes / SECTOR;
  snprintf(parameters, sizeof parameters, "%u:%u 0", major(loop), minor(loop));
  struct mapper_target targets[] = {
      {.start = 0, .length = base_sectors, .type = "linear", .parameters = parameters},
      {.start = base_sectors, .length = sectors - base_sectors, .type = "zero", .parameters = ""},
  };
  device_name(overlay, name, "-base");
  device_uuid(overlay, uuid, "-base");
  if (mapper_make(name, uuid, targets, sectors > base_sectors ? 2 : 1, true, &device) != 0) return -1;
  return fault("overlay");
}

static int make_snapshot(const struct overlay *overlay) {
  char name[NAME_SIZE], uuid[NAME_SIZE], parameters[128];
  dev_t base, device, loop = loop_device(overlay->cow_loop);
  device_uuid(overlay, uuid, "-base");
  if (mapper_find(uuid, &base) != 0) return -1;
  // P: the metadata is kept in the file; O: a full snapshot is distinguished from a broken one.
  snprintf(parameters, sizeof parameters, "%u:%u %u:%u PO %d", major(base), minor(base), major(loop), minor(loop), CHUNK_SECTORS);
  struct mapper_target target = {.start = 0, .length = overlay->bytes / SECTOR, .type = "snapshot", .parameters = parameters};
  device_name(overlay, name, "");
  device_uuid(overlay, uuid, "");
  if (mapper_make(name, uuid, &target, 1, false, &device) != 0) return -1;
  return fault("overlay");
}

static int make_directory(const char *path) { return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1; }

// The directories belong to root, so that nobody else can replace the node.
static int make_node(const struct overlay *overlay) {
  char uuid[NAME_SIZE], path[NAME_SIZE];
  dev_t device;
  device_uuid(overlay, uuid, "");
  if (mapper_find(uuid, &device) != 0) return -1;
  snprintf(path, sizeof path, HELPER_DEVICE_DIRECTORY "/%u", overlay->uid);
  if (make_directory(HELPER_DEVICE_DIRECTORY) != 0 || make_directory(path) != 0) return -1;
  node_path(overlay, path);
  if (unlink(path) != 0 && errno != ENOENT) return -1;
  if (mknod(path, S_IFBLK | 0600, device) != 0 || lchown(path, overlay->uid, (gid_t)-1) != 0) return -1;
  return fault("overlay");
}

static int check_owner(const struct overlay *overlay, const struct peer *peer) {
  // Root may manage a user's overlay, but only that user names its files.
  return overlay->uid == peer->uid ? 0 : refuse(EPERM, "the overlay belongs to another user");
}

static int extend_file(const struct peer *peer, const struct overlay *overlay, uint64_t bytes) {
  struct stat file;
  char tag[NAME_SIZE];
  int cow = claim_open(peer, overlay->id, "cow", CLAIM_WRITE, &file);
  if (cow < 0) return -1;
  loop_tag(overlay, tag, COW);
  int result = claim_allocate(peer, cow, bytes);
  if (result == 0) result = loop_grow(overlay->cow_loop, tag, &file);
  KEEPING_ERRNO(close(cow));
  return result;
}

// A snapshot that was nearly full when its VM ended starts with space again.
static int make_room(const struct peer *peer, const struct overlay *overlay) {
  struct space space;
  if (read_space(overlay, &space) != 0) return -1;
  if (strcmp(space.state, "ok") != 0) return refuse(EIO, "the file of changes is damaged");
  uint64_t limit = space_limit(overlay->bytes);
  if (space.size >= limit || space.size - smaller(space.used, space.size) >= LEAST_LEFT_BYTES) return 0;
  return extend_file(peer, overlay, smaller(space.used + STEP_BYTES, limit));
}

static int make_devices(const struct peer *peer, struct overlay *overlay, int base, int cow, uint64_t base_bytes) {
  if (note(overlay) != 0 || fault("overlay") != 0) return -1;
  if (bind_loop(overlay, BASE, base) != 0 || bind_loop(overlay, COW, cow) != 0) return -1;
  if (make_base(overlay, base_bytes) != 0 || make_snapshot(overlay) != 0) return -1;
  return make_node(overlay) == 0 ? make_room(peer, overlay) : -1;
}

// --- taking apart ---

static int first_failure(int before, int result) { return before != 0 ? before : result != 0 ? errno : 0; }

// In reverse order, and all parts, except those below a part that could not be removed.
static int take_apart(const struct overlay *overlay) {
  char text[NAME_SIZE];
  int error = 0;
  device_uuid(overlay, text, "");
  if (mapper_remove(text) != 0) return -1;
  node_path(overlay, text);
  if (unlink(text) != 0 && errno != ENOENT) error = first_failure(error, -1);
  device_uuid(overlay, text, "-base");
  error = first_failure(error, mapper_remove(text));
  for (int which = COW; which >= BASE; which--) {
    int number = which == BASE ? overlay->base_loop : overlay->cow_loop;
    loop_tag(overlay, text, which);
    if (number >= 0) error = first_failure(error, loop_release(number, text));
  }
  errno = error;
  return error == 0 ? record_drop("overlay", overlay->id) : -1;
}

// --- verbs ---

static bool is_complete(const struct overlay *overlay) {
  char text[NAME_SIZE];
  dev_t device;
  struct stat node;
  device_uuid(overlay, text, "");
  if (mapper_find(text, &device) != 0) return false;
  node_path(overlay, text);
  return lstat(text, &node) == 0 && S_ISBLK(node.st_mode) && node.st_rdev == device;
}

static int check_sizes(uint64_t base_bytes, uint64_t bytes) {
  if (bytes % CHUNK_BYTES != 0 || base_bytes % SECTOR != 0 || base_bytes == 0)
    return refuse(EINVAL, "sizes are multiples of %d, a base's of %d", CHUNK_BYTES, SECTOR);
  return bytes >= base_bytes ? 0 : refuse(EINVAL, "the overlay is smaller than its base");
}

static int make(const struct peer *peer, struct overlay *overlay) {
  struct stat base_file, cow_file;
  int result = -1, base = claim_open(peer, overlay->id, "base", CLAIM_READ, &base_file);
  if (base < 0) return -1;
  int cow = claim_open(peer, overlay->id, "cow", CLAIM_WRITE, &cow_file);
  if (cow >= 0 && check_sizes((uint64_t)base_file.st_size, overlay->bytes) == 0 &&
      claim_allocate(peer, cow, smaller(STEP_BYTES, space_limit(overlay->bytes))) == 0)
    result = make_devices(peer, overlay, base, cow, (uint64_t)base_file.st_size);
  KEEPING_ERRNO(close(base));
  if (cow >= 0) KEEPING_ERRNO(close(cow));
  if (result != 0 && record_find("overlay", overlay->id) != NULL) KEEPING_ERRNO(take_apart(overlay));
  return result;
}

static int attach_verb(const struct peer *peer, char **arguments, int count) {
  (void)count;
  uint64_t bytes;
  if (!parse_number(arguments[1], LIMIT_DISK_BYTES, &bytes)) return refuse(EINVAL, "that is no size of a disk");
  struct overlay overlay;
  if (record_find("overlay", arguments[0]) != NULL) {
    if (find_own(peer, arguments[0], &overlay) != 0 || check_owner(&overlay, peer) != 0) return -1;
    if (is_complete(&overlay))
      return overlay.bytes == bytes ? say_space(&overlay) : refuse(EBUSY, "it is in use with %llu bytes", (unsigned long long)overlay.bytes);
    // Leftovers of a helper that died in the middle.
    if (take_apart(&overlay) != 0) return -1;
  }
  overlay = (struct overlay){.uid = peer->uid, .bytes = bytes, .base_loop = -1, .cow_loop = -1};
  snprintf(overlay.id, sizeof overlay.id, "%s", arguments[0]);
  if (make(peer, &overlay) != 0) return -1;
  return say_space(&overlay);
}

static int detach_verb(const struct peer *peer, char **arguments, int count) {
  (void)count;
  struct overlay overlay;
  if (find_own(peer, arguments[0], &overlay) != 0) return errno == ENOENT ? 0 : -1;
  return take_apart(&overlay);
}

static int status_verb(const struct peer *peer, char **arguments, int count) {
  (void)count;
  struct overlay overlay;
  return find_own(peer, arguments[0], &overlay) == 0 ? say_space(&overlay) : -1;
}

static int extend_verb(const struct peer *peer, char **arguments, int count) {
  (void)count;
  struct overlay overlay;
  uint64_t bytes;
  if (find_own(peer, arguments[0], &overlay) != 0 || check_owner(&overlay, peer) != 0) return -1;
  if (!parse_number(arguments[1], LIMIT_DISK_BYTES * 2, &bytes)) return refuse(EINVAL, "that is no size of a file");
  if (extend_file(peer, &overlay, smaller(bytes, space_limit(overlay.bytes))) != 0) return -1;
  return say_space(&overlay);
}

static void say_support(const struct peer *peer) {
  (void)peer;
  char version[32];
  if (mapper_version(version, sizeof version) == 0) say("overlay device-mapper=%s", version);
  else say("overlay missing=%s", strerror(errno));
}

static void list(const struct peer *peer) {
  for (const struct object *object = record_next(NULL, "overlay"); object != NULL; object = record_next(object, "overlay")) {
    struct overlay overlay;
    if ((peer->uid != 0 && object->uid != peer->uid) || !parse(object, &overlay)) continue;
    say("overlay %s uid=%u bytes=%llu", overlay.id, overlay.uid, (unsigned long long)overlay.bytes);
  }
}

static const struct verb verbs[] = {
    {.words = "overlay attach", .minimum = 1, .maximum = 1, .takes_id = true, .run = attach_verb},
    {.words = "overlay detach", .takes_id = true, .run = detach_verb},
    {.words = "overlay status", .takes_id = true, .quiet = true, .run = status_verb},
    {.words = "overlay extend", .minimum = 1, .maximum = 1, .takes_id = true, .run = extend_verb},
    {0},
};

const struct part overlay_part = {.verbs = verbs, .hello = say_support, .list = list};
