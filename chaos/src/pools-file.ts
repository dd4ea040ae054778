/** A pools file as scenarios write it. */

/** What is needed of a pools file. Further keys of a pool are passed on as they are. */
export interface PoolsFile {
  readonly scopes: Readonly<Record<string, { readonly region: string }>>;
  readonly pools: Readonly<
    Record<string, { readonly scope: string; readonly model: string; readonly lanes: readonly string[] }>
  >;
}
