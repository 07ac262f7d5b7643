/** What a report needs from elsewhere: pid files, processes, the configuration. */
export interface Facts {
  readonly masters: readonly MasterFact[];
  /** Rows in use by the configuration that lanes follow; null: it cannot be read. */
  readonly pools: number | null;
  readonly backends: number | null;
  readonly isAlive: (pid: number) => boolean;
}

export interface MasterFact {
  readonly pid: number;
  readonly file: string; // where its pid was found; '': in shared memory only
  readonly isAlive: boolean;
}
