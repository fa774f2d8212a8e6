#include "banger-helper.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_OBJECTS 2048
#define MAX_LINE 256

static struct object objects[MAX_OBJECTS];
static size_t object_count;
static char record_path[PATH_MAX];

static bool parse_object(const char *line, struct object *object) {
  int end = 0;
  *object = (struct object){0};
  if (sscanf(line, "%11s %u %8s%n", object->kind, &object->uid, object->id, &end) != 3) return false;
  if (line[end] != ' ' || strlen(line + end + 1) >= sizeof object->values) return false;
  snprintf(object->values, sizeof object->values, "%s", line + end + 1);
  return true;
}

int record_open(const char *path) {
  char line[MAX_LINE];
  snprintf(record_path, sizeof record_path, "%s", path);
  object_count = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return errno == ENOENT ? 0 : -1;
  while (object_count < MAX_OBJECTS && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (parse_object(line, &objects[object_count])) object_count++;
    else fprintf(stderr, "banger-helper: %s holds a line that means nothing\n", path);
  }
  fclose(file);
  return 0;
}

bool record_empty(void) { return object_count == 0; }

static int write_objects(FILE *file) {
  for (size_t i = 0; i < object_count; i++) {
    const struct object *object = &objects[i];
    if (fprintf(file, "%s %u %s %s\n", object->kind, object->uid, object->id, object->values) < 0) return -1;
  }
  return fflush(file);
}

// Atomically. Not synced: the file system is in memory, and lives as long as the recorded objects.
static int write_record(void) {
  char fresh[PATH_MAX + 8];
  snprintf(fresh, sizeof fresh, "%s.new", record_path);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  FILE *file = fdopen(fd, "w");
  if (file == NULL) {
    KEEPING_ERRNO(close(fd));
    return -1;
  }
  int result = write_objects(file);
  if (fclose(file) != 0) result = -1;
  if (result == 0 && rename(fresh, record_path) == 0) return 0;
  KEEPING_ERRNO(unlink(fresh));
  return -1;
}

static struct object *find(const char *kind, const char *id) {
  for (size_t i = 0; i < object_count; i++)
    if (strcmp(objects[i].kind, kind) == 0 && strcmp(objects[i].id, id) == 0) return &objects[i];
  return NULL;
}

const struct object *record_find(const char *kind, const char *id) { return find(kind, id); }

const struct object *record_next(const struct object *previous, const char *kind) {
  for (const struct object *object = previous == NULL ? objects : previous + 1; object < objects + object_count; object++)
    if (kind == NULL || strcmp(object->kind, kind) == 0) return object;
  return NULL;
}

size_t record_count(const char *kind, uid_t uid) {
  size_t count = 0;
  for (const struct object *object = record_next(NULL, kind); object != NULL; object = record_next(object, kind)) count += object->uid == uid;
  return count;
}

const struct object *record_own(const char *kind, const char *id, const struct peer *peer) {
  const struct object *object = find(kind, id);
  if (object == NULL) {
    errno = ENOENT;
    return NULL;
  }
  if (peer->uid == 0 || object->uid == peer->uid) return object;
  refuse(EPERM, "%s %s belongs to another user", kind, id);
  return NULL;
}

int record_put(const char *kind, uid_t uid, const char *id, const char *values) {
  struct object fresh = {.uid = uid};
  snprintf(fresh.kind, sizeof fresh.kind, "%s", kind);
  snprintf(fresh.id, sizeof fresh.id, "%s", id);
  int length = snprintf(fresh.values, sizeof fresh.values, "%s", values);
  if (length < 0 || (size_t)length >= sizeof fresh.values || strchr(values, '\n') != NULL) {
    errno = EINVAL;
    return -1;
  }
  struct object *present = find(kind, id);
  if (present == NULL && uid != 0 && record_count(kind, uid) >= OBJECTS_PER_USER)
    return refuse(EDQUOT, "a user may have %d of %s", OBJECTS_PER_USER, kind);
  if (present == NULL && object_count == MAX_OBJECTS) return refuse(EDQUOT, "this host may have %d objects", MAX_OBJECTS);
  struct object before = present == NULL ? (struct object){0} : *present;
  if (present == NULL) objects[object_count++] = fresh;
  else *present = fresh;
  if (write_record() == 0) return 0;
  if (present == NULL) object_count--;
  else *present = before;
  return -1;
}

int record_drop(const char *kind, const char *id) {
  struct object *object = find(kind, id);
  if (object == NULL) return 0;
  struct object gone = *object;
  *object = objects[--object_count];
  if (write_record() == 0) return 0;
  objects[object_count++] = *object;
  *object = gone;
  return -1;
}
