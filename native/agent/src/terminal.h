// Terminals of the host that the guest's terminfo does not know.
#ifndef BANGER_TERMINAL_H
#define BANGER_TERMINAL_H

/** Whether programs in the guest find a terminfo entry. `home` may contain entries of its own. */
bool terminal_is_known(const char *name, const char *home);
/**
 * Gives terminals that are newer than the image's terminfo the entry of the terminal that they all imitate. Existing entries stay. Login
 * shells over ssh use that entry for an unknown name, and a usual size for a terminal without one.
 */
void terminal_make_known(void);

/** The terminal that they imitate. */
#define TERMINAL_USUAL "xterm-256color"

#endif
