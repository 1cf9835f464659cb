import fc from "fast-check";

/**
 * Property tests draw the same cases in every run, so that a change is told from bad luck. `npm run test:random` draws
 * others, and `KILN_TEST_SEED=n` those of a failure, which prints its seed.
 */
const { MODE, KILN_TEST_SEED } = process.env;
if (KILN_TEST_SEED !== undefined) fc.configureGlobal({ seed: Number(KILN_TEST_SEED) });
else if (MODE !== "random") fc.configureGlobal({ seed: 1 });
