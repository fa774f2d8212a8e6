#include "agent.h"
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

struct agent_shared *agent_shared;

bool agent_share(void) {
  void *page = mmap(NULL, sizeof *agent_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  agent_shared = page;
  agent_shared->personalized_fd = -1;
  agent_shared->life = 1;
  return true;
}

static void wake(int signal_number) { (void)signal_number; }

void agent_begin_worker(int slot) {
  // Without SA_RESTART, so that poll() returns.
  sigaction(WORKER_WAKE_SIGNAL, &(struct sigaction){.sa_handler = wake}, NULL);
  agent_shared->worker_pid[slot] = getpid();
}
