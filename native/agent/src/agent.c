#include "agent.h"
#include <stddef.h>
#include <sys/mman.h>

struct agent_shared *agent_shared;

bool agent_share(void) {
  void *page = mmap(NULL, sizeof *agent_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  agent_shared = page;
  agent_shared->personalized_fd = -1;
  return true;
}
