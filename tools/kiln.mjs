#!/usr/bin/env node
// The command line for `npx kiln`: Node reads TypeScript through tsx, in this same process.
import { register } from "tsx/esm/api";

register();
await import("./run.ts");
