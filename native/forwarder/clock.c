// banger-forwarder clock: writes a line whenever the wall clock is set or the host wakes up, until its input ends.
#include "forwarder.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

// A timer that is never due; the kernel cancels it when the clock jumps (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET), also at the
// end of a suspend (timerfd_resume of Linux).
static int arm(int fd) {
  const struct itimerspec never = {.it_value.tv_sec = INT64_MAX / 1000000000};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

int clock_main(void) {
  prctl(PR_SET_NAME, "bgr-clock");
  int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0 || arm(fd) != 0) {
    fprintf(stderr, "banger-forwarder: clock: %s\n", strerror(errno));
    return 71;
  }
  for (;;) {
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char bytes[64];
    if (poll(p, 2, -1) < 0 && errno != EINTR) return 71;
    if (p[1].revents && read(STDIN_FILENO, bytes, sizeof bytes) <= 0) return 0;
    if (!p[0].revents) continue;
    if (read(fd, bytes, sizeof bytes) < 0 && errno != ECANCELED) continue;
    if (arm(fd) != 0 || write(STDOUT_FILENO, "jump\n", 5) != 5) return 71;
  }
}
