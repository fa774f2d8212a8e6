/** Optional members that are only present with a value, for types that distinguish absent members from undefined ones. */
type Given<Members> = { [Name in keyof Members]?: Exclude<Members[Name], undefined> };

/** @returns the members that are not undefined: `{ ...given({ cwd }) }` */
export function given<Members extends object>(members: Members): Given<Members> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<Members>;
}
