/**
 * Handles Ctrl-C while a command waits: the first one asks for an orderly end, the second one exits at once.
 * @param onFirst called once
 * @returns a function that stops listening
 */
export function onInterrupt(onFirst: () => void): () => void {
  let count = 0;
  const listener = (): void => {
    count++;
    if (count === 1) onFirst();
    else process.exit(130);
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return () => {
    process.off('SIGINT', listener);
    process.off('SIGTERM', listener);
  };
}
