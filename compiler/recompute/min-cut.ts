/**
 * Minimum s-t cuts of directed graphs with capacities, by Dinic's blocking flows.
 * @see Dinitz 1970, "Algorithm for solution of a problem of maximum flow in networks with power estimation"
 */
export class CutNetwork {
  readonly #first: number[] = [];
  readonly #next: number[] = [];
  readonly #to: number[] = [];
  readonly #left: number[] = [];

  /** @returns the number of a new node */
  addNode(): number {
    this.#first.push(-1);
    return this.#first.length - 1;
  }

  /** An edge that costs `capacity` where `from` is on the source's side and `to` is not; infinite: it is never cut. */
  addEdge(from: number, to: number, capacity: number): void {
    this.#add(from, to, capacity);
    this.#add(to, from, 0);
  }

  #add(from: number, to: number, capacity: number): void {
    this.#to.push(to);
    this.#left.push(capacity);
    this.#next.push(this.#first[from]!);
    this.#first[from] = this.#to.length - 1;
  }

  /**
   * @returns for each node whether it is on the source's side of a cut of least cost, the one with the fewest nodes there
   * @throws Error where every cut is infinite
   */
  cut(source: number, sink: number): readonly boolean[] {
    for (;;) {
      const level = this.#levels(source);
      if (level[sink] === -1) return level.map((distance) => distance !== -1);
      const edge = [...this.#first];
      while (this.#push(source, sink, level, edge) > 0);
    }
  }

  #levels(source: number): number[] {
    const level = this.#first.map(() => -1);
    level[source] = 0;
    const queue = [source];
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at]!;
      for (let e = this.#first[node]!; e !== -1; e = this.#next[e]!) {
        const to = this.#to[e]!;
        if (this.#left[e]! <= 0 || level[to] !== -1) continue;
        level[to] = level[node]! + 1;
        queue.push(to);
      }
    }
    return level;
  }

  /** One path of the level graph, filled; without recursion, as graphs are deep. @returns what flows along it */
  #push(source: number, sink: number, level: readonly number[], edge: number[]): number {
    const path: number[] = [];
    let node = source;
    while (node !== sink) {
      let e = edge[node]!;
      while (e !== -1 && !(this.#left[e]! > 0 && level[this.#to[e]!] === level[node]! + 1))
        e = this.#next[e]!;
      edge[node] = e;
      if (e !== -1) {
        path.push(e);
        node = this.#to[e]!;
      } else {
        const back = path.pop();
        if (back === undefined) return 0;
        node = this.#to[back ^ 1]!;
        edge[node] = this.#next[edge[node]!]!;
      }
    }
    const flow = path.reduce((least, e) => Math.min(least, this.#left[e]!), Number.POSITIVE_INFINITY);
    if (flow === Number.POSITIVE_INFINITY) throw new Error("recompute: nothing can be cut");
    for (const e of path) {
      this.#left[e]! -= flow;
      this.#left[e ^ 1]! += flow;
    }
    return flow;
  }
}
