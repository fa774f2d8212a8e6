/** Calls back once after `delayMs`. @returns what prevents it */
export type Timer = (callback: () => void, delayMs: number) => () => void;
