// What a person may ask of one allocation while it runs: its logs and a process inside it.
// In: nothing. Out: types and the address rule of the link. Not here: how the bytes travel.

export type StreamAsk =
  | {
      readonly kind: 'logs';
      readonly node: string;
      readonly allocation: string;
      readonly task: string;
      /** Lines from the end; null: everything that is kept. */
      readonly tail: number | null;
      readonly follow: boolean;
      /** The run before the current one. */
      readonly previous: boolean;
    }
  | {
      readonly kind: 'exec';
      readonly node: string;
      readonly allocation: string;
      readonly task: string;
      readonly args: readonly string[];
      readonly tty: { readonly columns: number; readonly rows: number } | null;
    };

export interface StreamEnd {
  /** Exit code of the process; 0 at the end of a log; null when it could not be had. */
  readonly code: number | null;
  /** Why it did not work, null when it did. */
  readonly error: string | null;
}
