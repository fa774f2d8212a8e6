#include "jail.h"
#include "common/constants.h"

#include <errno.h>
#include <stdio.h>

#define DEFAULT_FIRST_UID 2000000
#define DEFAULT_UID_COUNT 1000

static const char *setting(const char *name, const char *otherwise) {
  const char *value = settings_value(name);
  return value == NULL ? otherwise : value;
}

int jail_settings_read(struct jail_settings *settings) {
  *settings = (struct jail_settings){
      .jailer = setting("jailer", JAIL_PROGRAMS "/jailer"),
      .firecracker = setting("firecracker", JAIL_PROGRAMS "/firecracker"),
      .directory = setting("jail-directory", JAIL_DIRECTORY),
      .first_uid = DEFAULT_FIRST_UID,
      .uid_count = DEFAULT_UID_COUNT,
  };
  const char *uids = settings_value("jail-uids");
  if (uids != NULL && sscanf(uids, "%u %u", &settings->first_uid, &settings->uid_count) != 2)
    return refuse(EINVAL, "the setting jail-uids takes the first number and how many");
  // Nobody's files may become a VMM's.
  if (settings->first_uid < 65536 || settings->uid_count == 0 || settings->uid_count > UINT32_MAX - 1 - settings->first_uid)
    return refuse(EINVAL, "the users of jail-uids must be above 65535");
  return 0;
}

bool jail_owns_gid(const struct jail_settings *settings, gid_t gid) {
  return gid >= settings->first_uid && gid - settings->first_uid < settings->uid_count;
}
