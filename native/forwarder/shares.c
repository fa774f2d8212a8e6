#include "shares.h"

#include <stdlib.h>
#include <sys/resource.h>

#define BUCKETS 1024
#define OPENINGS_A_SECOND 512
#define OPENINGS_AT_ONCE 2048

// The numbers for a machine with enough descriptors, and the ratio for one with few.
static const struct {
  unsigned most, part;
} kinds[SHARE_KINDS] = {
    [SHARE_TCP_IN] = {8192, 6},        [SHARE_TCP_OUT] = {8192, 6},   [SHARE_TCP_ATTEMPTS] = {4096, 24}, [SHARE_UDP_IN] = {4096, 24},
    [SHARE_UDP_OUT] = {4096, 24},      [SHARE_LISTENERS] = {8192, 12}, [SHARE_PUBLISHED] = {1024, 48},
};

struct party {
  party_id id;
  unsigned held[SHARE_KINDS];
  unsigned openings;
  int64_t counted_at;
  unsigned nameserver;
  struct party *next;
};

static struct party *buckets[BUCKETS];
static unsigned capacity[SHARE_KINDS], taken[SHARE_KINDS];

static party_id with_kind(uint64_t kind, uint32_t value) { return kind << 32 | value; }
party_id party_of_guest(struct in_addr guest) { return with_kind(1, ntohl(guest.s_addr)); }
party_id party_of_user(uid_t uid) { return with_kind(2, uid); }

party_id party_of_address(struct in_addr address) {
  uint32_t value = ntohl(address.s_addr);
  // These parties may use everything.
  return with_kind(3, value >> 24 == 127 ? UINT32_C(127) << 24 : value);
}

void shares_init(void) {
  struct rlimit limit = {.rlim_cur = 1024};
  getrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; i < SHARE_KINDS; i++) {
    uint64_t part = limit.rlim_cur / kinds[i].part;
    capacity[i] = part < kinds[i].most ? (unsigned)part : kinds[i].most;
  }
}

static struct party **place_of(party_id id) {
  struct party **at = &buckets[(id ^ id >> 32) % BUCKETS];
  while (*at != NULL && (*at)->id != id) at = &(*at)->next;
  return at;
}

static struct party *find_or_make(party_id id) {
  struct party **at = place_of(id);
  if (*at != NULL) return *at;
  struct party *party = calloc(1, sizeof *party);
  if (party == NULL) return NULL;
  party->id = id;
  party->openings = OPENINGS_AT_ONCE;
  *at = party;
  return party;
}

bool share_has_room(party_id id, enum share what) {
  if (id == NOBODY) return true;
  const struct party *party = *place_of(id);
  return (party == NULL ? 0 : party->held[what]) < capacity[what] - taken[what];
}

bool share_take(party_id id, enum share what) {
  if (id == NOBODY) return true;
  if (!share_has_room(id, what)) return false;
  struct party *party = find_or_make(id);
  if (party == NULL) return false;
  party->held[what]++;
  // What a guest and its peer hold together counts once.
  if (id >> 32 == 1) taken[what]++;
  return true;
}

static bool holds_nothing(const struct party *party) {
  for (int i = 0; i < SHARE_KINDS; i++)
    if (party->held[i] > 0) return false;
  return true;
}

void share_give_back(party_id id, enum share what) {
  struct party **at = place_of(id), *party = *at;
  if (id == NOBODY || party == NULL || party->held[what] == 0) return;
  party->held[what]--;
  if (id >> 32 == 1) taken[what]--;
  else if (holds_nothing(party)) share_forget(id);
}

bool share_may_open(struct in_addr guest, int64_t now) {
  struct party *party = find_or_make(party_of_guest(guest));
  if (party == NULL) return false;
  int64_t more = (now - party->counted_at) * OPENINGS_A_SECOND / 1000;
  if (more > 0) {
    party->openings = more + party->openings > OPENINGS_AT_ONCE ? OPENINGS_AT_ONCE : party->openings + (unsigned)more;
    party->counted_at = now;
  }
  if (party->openings == 0) return false;
  party->openings--;
  return true;
}

unsigned *share_nameserver(struct in_addr guest) {
  static unsigned without_memory;
  struct party *party = find_or_make(party_of_guest(guest));
  return party == NULL ? &without_memory : &party->nameserver;
}

void share_forget(party_id id) {
  struct party **at = place_of(id), *party = *at;
  if (party == NULL || !holds_nothing(party)) return;
  *at = party->next;
  free(party);
}
