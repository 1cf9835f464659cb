// Starts worker.ts. A thread does not take over the loader for TypeScript from the one that started it (Node 20), so
// this file, which needs none, brings it; plain JavaScript for that reason alone.
import { tsImport } from "tsx/esm/api";

await tsImport("./worker.ts", import.meta.url);
