// What a machine does anew that goes on from a snapshot.
#ifndef BANGER_RESTORED_H
#define BANGER_RESTORED_H
#include <stdbool.h>

/**
 * Ends what other workers serve for hosts of an earlier life, with the processes of those sessions.
 * 0, or ETIMEDOUT when one does not let go in time.
 */
int restored_end_sessions(void);
/** Whether /etc/machine-id is another one, or none. */
bool restored_is_other(const char *machine_id);
/** Gives the machine another boot id, until it ends. 0 or an errno. */
int restored_renew_boot_id(void);
/** Restarts systemd's journal, which keeps the machine id and the boot id that it began with. 0 or an errno. */
int restored_restart_journal(void);

#endif
