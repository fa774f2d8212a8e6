import { BangerError } from '../model/errors.ts';

/** A value that one step leaves for later steps of the same run. Values that must outlive the run are recorded instead. */
export type StepResult<Value> = {
  set(context: object, value: Value): void;
  /** @throws INTERNAL if the step has not run */
  get(context: object): Value;
  find(context: object): Value | undefined;
};

/** @param what the value's name in the error: "the root disk" */
export function stepResult<Value>(what: string): StepResult<Value> {
  const values = new WeakMap<object, { value: Value }>();
  const find = (context: object): Value | undefined => values.get(context)?.value;
  return {
    set: (context, value) => void values.set(context, { value }),
    get(context) {
      const value = find(context);
      if (value === undefined) throw new BangerError('INTERNAL', `${what} was used before it was made`);
      return value;
    },
    find,
  };
}
