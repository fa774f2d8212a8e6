// The network of the host: the bridge bgr-bridge (10.213.0.1/16), a TAP for each VM, and the rules that say where guests may go.
//
//   network up                      idempotent; says `network up uplink=LINK resolver=ADDRESS dropped-by=CHAIN`, with `-` for none
//   network down                    EBUSY while any user has a TAP
//   tap add ID INDEX nat|closed [shared]
//       idempotent; the last words may change. Addresses are derived from INDEX (src/model/network.ts). Of the host's users the
//       one who asks may connect to the guest, and root; with `shared` all of them
//   tap remove ID
//
// `list` says the same `network` line, `pool idle=N of=M` (TAPs that no VM has), and `tap ID uid=U index=N nat|closed` for each;
// `cut-off` behind it when its VMM gave it the hardware address of a guest, after which it has no network.
#include "banger-helper.h"

#include "nft.h"
#include "resolver.h"
#include "routes.h"
#include "ruleset.h"
#include "taps.h"
#include "uplink.h"
#include "watch.h"
#include "common/constants.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/lines.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What one bridge takes, less the pool (BR_MAX_PORTS of the kernel).
#define MAX_TAPS 1000
// Other programs change rules in bursts; one reaction to a whole burst is enough.
#define SETTLE_MS 200
#define RETRY_MS 5000

// When to apply the rules again, in ms of the monotonic clock; 0: they are right.
static int64_t reapply_at;
static bool pool_wanted;

// --- the record: `network 0 - uplink=NAME forwarding=0|1` once, `tap UID ID index=N nat|closed` for each VM ---

static bool parse_guest(const struct object *tap, struct guest *guest) {
  char word[8];
  memcpy(guest->id, tap->id, sizeof guest->id);
  if (sscanf(tap->values, "index=%u %7s", &guest->index, word) != 2) return false;
  guest->nat = strcmp(word, "nat") == 0;
  guest->owner = tap->uid;
  guest->shared = strstr(tap->values, " shared") != NULL;
  return true;
}

static size_t read_guests(struct guest guests[MAX_TAPS]) {
  size_t count = 0;
  for (const struct object *tap = record_next(NULL, "tap"); tap != NULL && count < MAX_TAPS; tap = record_next(tap, "tap"))
    count += parse_guest(tap, &guests[count]);
  return count;
}

// --- rules ---

static int apply_text(void (*write)(FILE *, const struct ruleset *), const struct ruleset *ruleset) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  if (out == NULL) return -1;
  write(out, ruleset);
  int result = fclose(out) == 0 && fault("network") == 0 ? nft_apply(text, length) : -1;
  KEEPING_ERRNO(free(text));
  return result;
}

static void write_removal(FILE *out, const struct ruleset *ruleset) {
  (void)ruleset;
  ruleset_write_removal(out);
}

static int render_and_apply(void) {
  static struct guest guests[MAX_TAPS];
  struct routes routes;
  if (routes_read(&routes) != 0) return -1;
  if (!link_name_plain(routes.uplink)) routes.uplink[0] = '\0';
  if (uplink_use(routes.uplink) != 0) return -1;
  struct ruleset ruleset = {
      .guests = guests,
      .guest_count = read_guests(guests),
      .uplink = routes.uplink,
      .resolver = resolver_find(),
  };
  return apply_text(ruleset_write, &ruleset);
}

// Rebuilds all rules from the record and the present state of the host, whatever was there before.
static int apply_rules(void) {
  int result = render_and_apply();
  reapply_at = result == 0 ? 0 : monotonic_ms() + RETRY_MS;
  return result;
}

// --- network up and down ---

static bool is_recorded(void) { return record_find("network", "-") != NULL; }

static int take_down(void) {
  int result = apply_text(write_removal, NULL);
  if (bridge_down() != 0) result = -1;
  if (uplink_release() != 0) result = -1;
  if (result == 0) watch_stop();
  reapply_at = 0;
  pool_wanted = false;
  return result == 0 ? record_drop("network", "-") : -1;
}

// The reasons why the host keeps guests from the outside, `-` if there are none.
static void say_state(void) {
  struct routes routes;
  char chain[128], resolver[INET_ADDRSTRLEN] = "-";
  struct in_addr found = resolver_find();
  if (found.s_addr != 0) inet_ntop(AF_INET, &found, resolver, sizeof resolver);
  bool has_uplink = routes_read(&routes) == 0 && link_name_plain(routes.uplink);
  say("network %s uplink=%s resolver=%s dropped-by=%s", is_recorded() ? "up" : "down", has_uplink ? routes.uplink : "-", resolver,
      nft_foreign_drop(chain, sizeof chain) ? chain : "-");
}

static int bring_up(void) {
  struct routes routes;
  if (routes_read(&routes) != 0) return -1;
  if (routes.conflict[0] != '\0') return refuse(EADDRINUSE, GUEST_PREFIX ".0.0/16 is used on %s already", routes.conflict);
  bool was_recorded = is_recorded();
  if (!was_recorded && record_put("network", 0, "-", "uplink=- forwarding=-") != 0) return -1;
  if (fault("network") == 0 && bridge_up() == 0 && watch_start() == 0 && apply_rules() == 0) {
    pool_wanted = true;
    return 0;
  }
  if (!was_recorded) KEEPING_ERRNO(take_down());
  return -1;
}

static int network_up_verb(const struct peer *peer, char **arguments, int count) {
  (void)peer, (void)arguments, (void)count;
  if (bring_up() != 0) return -1;
  say_state();
  return 0;
}

static int network_down_verb(const struct peer *peer, char **arguments, int count) {
  (void)peer, (void)arguments, (void)count;
  const struct object *tap = record_next(NULL, "tap");
  if (tap != NULL) return refuse(EBUSY, HOST_NAME_PREFIX "%s of user %u is on it", tap->id, (unsigned)tap->uid);
  return is_recorded() ? take_down() : 0;
}

// --- tap add and remove ---

static int check_room(const char *id, unsigned index) {
  unsigned count = 0;
  for (const struct object *tap = record_next(NULL, "tap"); tap != NULL; tap = record_next(tap, "tap")) {
    struct guest guest;
    if (strcmp(tap->id, id) == 0 || !parse_guest(tap, &guest)) continue;
    if (guest.index == index) return refuse(EADDRINUSE, "index %u belongs to " HOST_NAME_PREFIX "%s of user %u", index, tap->id, (unsigned)tap->uid);
    count++;
  }
  return count < MAX_TAPS ? 0 : refuse(EDQUOT, "this host may have %d TAPs", MAX_TAPS);
}

static int forget_tap(const char *id) {
  // The link is removed before its rules, so that it never exists without them.
  return fault("network") == 0 && tap_take(id) == 0 && record_drop("tap", id) == 0 && apply_rules() == 0 ? 0 : -1;
}

static bool is_cut_off(const struct object *tap) { return strstr(tap->values, " cut-off") != NULL; }

// This VM loses the network, not the other VM; `tap remove` cleans up.
static void cut_off(const char *id) {
  const struct object *tap = record_find("tap", id);
  if (tap == NULL || is_cut_off(tap)) return;
  char values[64];
  uid_t uid = tap->uid;
  snprintf(values, sizeof values, "%.36s cut-off", tap->values);
  if (tap_cut_off(id) != 0) perror("banger-helper: a TAP could not be cut off");
  fprintf(stderr, HOST_NAME_PREFIX "%s of user %u was cut off, for it took the hardware address of a guest\n", id, (unsigned)uid);
  if (record_put("tap", uid, id, values) != 0) perror("banger-helper: that could not be recorded");
}

static int admit(uid_t uid, const struct guest *guest) {
  char values[48];
  snprintf(values, sizeof values, "index=%u %s%s", guest->index, guest->nat ? "nat" : "closed", guest->shared ? " shared" : "");
  return record_put("tap", uid, guest->id, values) == 0 && apply_rules() == 0 ? 0 : -1;
}

static int tap_add(uid_t uid, const struct guest *guest) {
  struct guest before;
  const struct object *tap = record_find("tap", guest->id);
  if (tap != NULL && tap->uid != uid) return refuse(EPERM, HOST_NAME_PREFIX "%s belongs to another user", guest->id);
  bool was_there = tap != NULL && parse_guest(tap, &before);
  if (tap != NULL && is_cut_off(tap)) return refuse(EPERM, HOST_NAME_PREFIX "%s was cut off, for it took the hardware address of a guest", guest->id);
  if (was_there && before.index != guest->index) return refuse(EEXIST, HOST_NAME_PREFIX "%s has index %u", guest->id, before.index);
  if (check_room(guest->id, guest->index) != 0) return -1;
  if (!(is_recorded() && bridge_is_up()) && bring_up() != 0) return -1;
  pool_wanted = true;
  if (admit(uid, guest) == 0 && fault("network") == 0 && tap_give(guest->id, uid) == 0 && fault("network") == 0) return 0;
  if (was_there) KEEPING_ERRNO(admit(uid, &before));
  else KEEPING_ERRNO(forget_tap(guest->id));
  return -1;
}

static int tap_add_verb(const struct peer *peer, char **arguments, int count) {
  bool shared = count == 4;
  uint64_t index;
  bool nat = strcmp(arguments[2], "nat") == 0;
  if (!parse_number(arguments[1], LAST_NETWORK_INDEX, &index) || index < FIRST_NETWORK_INDEX)
    return refuse(EINVAL, "an index is %d to %d", FIRST_NETWORK_INDEX, LAST_NETWORK_INDEX);
  if (!nat && strcmp(arguments[2], "closed") != 0) return refuse(EINVAL, "a TAP is nat or closed");
  if (shared && strcmp(arguments[3], "shared") != 0) return refuse(EINVAL, "a TAP is shared or the user's own");
  struct guest guest = {.index = (unsigned)index, .nat = nat, .owner = peer->uid, .shared = shared};
  memcpy(guest.id, arguments[0], sizeof guest.id);
  return tap_add(peer->uid, &guest);
}

static int tap_remove_verb(const struct peer *peer, char **arguments, int count) {
  (void)count;
  if (record_find("tap", arguments[0]) == NULL) return 0;
  return record_own("tap", arguments[0], peer) != NULL ? forget_tap(arguments[0]) : -1;
}

static void list_network(const struct peer *peer) {
  say_state();
  if (is_recorded()) say("pool idle=%d of=%d", tap_count_idle(), POOL_SIZE);
  for (const struct object *tap = record_next(NULL, "tap"); tap != NULL; tap = record_next(tap, "tap")) {
    if (peer->uid == 0 || tap->uid == peer->uid) say("tap %s uid=%u %s", tap->id, tap->uid, tap->values);
  }
}

// --- between requests ---

static void resume_network(void) {
  if (is_recorded() && bring_up() != 0) perror("banger-helper: the network could not be set up again");
}

static int network_timeout_ms(void) {
  if (pool_wanted) return 0;
  if (reapply_at == 0) return -1;
  int64_t left = reapply_at - monotonic_ms();
  return left > 0 ? (int)left : 0;
}

static void network_tick(void) {
  if (!is_recorded()) return;
  watch_stolen(cut_off);
  if (watch_changed() && reapply_at == 0) reapply_at = monotonic_ms() + SETTLE_MS;
  if (reapply_at != 0 && monotonic_ms() >= reapply_at) {
    if (apply_rules() == 0) fputs("banger-helper: the rules were applied again, because they or the routes had changed\n", stderr);
    else perror("banger-helper: the rules could not be applied again");
  }
  if (!pool_wanted) return;
  // One at a time, so that a request never waits for more than one.
  int made = tap_make_idle();
  if (made < 0) perror("banger-helper: the pool of TAPs could not be filled");
  pool_wanted = made > 0;
}

static const struct verb network_verbs[] = {
    {.words = "network up", .run = network_up_verb},
    {.words = "network down", .run = network_down_verb},
    {.words = "tap add", .minimum = 2, .maximum = 3, .takes_id = true, .run = tap_add_verb},
    {.words = "tap remove", .takes_id = true, .run = tap_remove_verb},
    {0},
};

const struct part network_part = {
    .verbs = network_verbs,
    .list = list_network,
    .resume = resume_network,
    .descriptors = watch_poll,
    .timeout_ms = network_timeout_ms,
    .tick = network_tick,
};
