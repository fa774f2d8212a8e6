/** Calls back once after `delayMs`. @returns a function that cancels it */
export type Timer = (callback: () => void, delayMs: number) => () => void;
