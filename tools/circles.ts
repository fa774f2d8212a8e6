/** A directed graph: each node names others. */
export type Graph = ReadonlyMap<string, Iterable<string>>;

/**
 * Finds the circles of a graph by its strongly connected components (Tarjan's algorithm).
 * @returns for each component with more than one node, the shortest cycle from its first node in order of names
 */
export function circlesIn(graph: Graph): string[][] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const circles: string[][] = [];
  const visit = (node: string): number => {
    const number = order.size;
    let low = number;
    order.set(node, number);
    open.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next));
      else if (!lowest.has(next)) low = Math.min(low, order.get(next) ?? low);
    }
    if (low === number) {
      const component = open.splice(open.indexOf(node));
      for (const member of component) lowest.set(member, low);
      if (component.length > 1) circles.push(wayAround(graph, component));
    }
    return low;
  };
  for (const node of graph.keys()) if (!order.has(node)) visit(node);
  return circles;
}

function wayAround(graph: Graph, component: readonly string[]): string[] {
  const first = component.toSorted()[0] ?? '';
  const cameFrom = new Map<string, string>();
  const queue = [first];
  for (const node of queue) {
    for (const next of graph.get(node) ?? []) {
      if (next === first) {
        const way = [first];
        for (let at = node; at !== first; at = cameFrom.get(at) ?? first) way.splice(1, 0, at);
        return way;
      }
      if (!component.includes(next) || cameFrom.has(next)) continue;
      cameFrom.set(next, node);
      queue.push(next);
    }
  }
  return [...component];
}
