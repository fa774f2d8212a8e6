// What a guest needs for logins over ssh beside its own configuration.
#ifndef BANGER_LOGIN_H
#define BANGER_LOGIN_H
#include "buffer.h"
#include "environment.h"

/** Public keys that let in as every user: in memory for the agent's logins, on disk for a sshd of the guest's own. */
#define LOGIN_KEYS_NAME "authorized_keys"
#define LOGIN_KEYS_PATH "/run/banger/" LOGIN_KEYS_NAME
#define LOGIN_KEYS_ON_DISK "/etc/ssh/banger_authorized_keys"
#define LOGIN_HOST_KEY_NAME "ssh_host_ed25519_key"
#define LOGIN_HOST_KEY_PATH "/run/banger/" LOGIN_HOST_KEY_NAME

/** Sets the image's LANG, or one for UTF-8 that it has, and what /etc/environment says: what PAM would set, of which sessions have none. */
void login_variables(struct environment *e);
/** 0 for a shell that lets people in, else why it does not, an errno. */
int login_shell_obstacle(const char *shell);
/** Makes ready what sshd reads. Returns the configuration to use, NULL for the image's own. */
const char *login_prepare(void);
/** Makes a configuration that has nothing of the image's, for a sshd that refuses that; NULL when it cannot be written. */
const char *login_plain_config(void);

/**
 * Appends the image's sshd_config with what sessions of the host need: the keys beside those of each user, the image's variables,
 * its locale among them and not the client's, whose locales it may not have. What the image says of it itself is kept.
 */
void login_sshd_config(struct buffer *out, const char *text, size_t length, char *const *variables, size_t count);
/**
 * Appends shadow(5) in which who never had a password ("!") has none that fits ("*"): sshd takes the first for locked. Passwords
 * that were locked ("!$…") and users for whom `may_log_in` is false stay. Returns whether anything differs.
 */
bool login_unlock(struct buffer *out, const char *text, size_t length, bool (*may_log_in)(const char *user));

#endif
