/* Texts of all messages of this room, by subject: each function gives a diagnostic and reports nothing. */
export * from "./errors/files.ts";
export * from "./errors/limits.ts";
export * from "./errors/names.ts";
export * from "./errors/patterns.ts";
export * from "./errors/settings.ts";
export * from "./errors/shapes.ts";
export * from "./errors/training.ts";
