import { readdirSync, readlinkSync } from 'node:fs';

/** Where users leave for the helper what it may open for a VM (native/helper/claims.c). */
const CLAIMS = '/run/banger/users';

/**
 * A jail clears the environment of a VMM and hides the directories: whom it works for is told by the claims of its VM.
 * @param commandLine words with a zero byte behind each
 * @returns whether it is a jailed VMM whose files are in one of these directories
 */
export function isJailedVmmFor(commandLine: string, directories: readonly string[]): boolean {
  const id = /^[^\0]*firecracker\0(?:.*\0)?--id[=\0]bgr-([0-9a-f]{8})\0/.exec(commandLine)?.[1];
  return id !== undefined && claimsOf(id).some((target) => directories.some((directory) => target.startsWith(`${directory}/`)));
}

/** @returns the files that the claims of a VM lead to, of whichever user */
function claimsOf(id: string): string[] {
  return namesIn(CLAIMS).flatMap((uid) => {
    const directory = `${CLAIMS}/${uid}/${id}`;
    return namesIn(directory).map((name) => linkTarget(`${directory}/${name}`));
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Not there, or another user's.
    return [];
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // It was removed meanwhile.
    return '';
  }
}
