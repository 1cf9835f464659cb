import type { ArchiveSource, FetchResult } from "./fetch-archive.ts";

/** Merity, Xiong, Bradbury, Socher: Pointer Sentinel Mixture Models, 2016, arXiv:1609.07843. */
export const wikiText2: ArchiveSource = {
  name: "WikiText-2",
  urls: [
    "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
    "https://wikitext.smerity.com/wikitext-2-v1.zip",
  ],
  // The hashes that Gluon NLP publishes for the files of wikitext-2-v1.zip.
  files: [
    { name: "wiki.train.tokens", sha1: "863f29c46ef9d167fff4940ec821195882fe29d1" },
    { name: "wiki.valid.tokens", sha1: "0418625c8b4da6e4b5c7a0b9e78d4ae8f7ee5422" },
    { name: "wiki.test.tokens", sha1: "c7b8ce0aa086fb34dab808c5c49224211eb2b172" },
  ],
  maxBytes: 64 * 2 ** 20,
  licence:
    "WikiText-2: text of Wikipedia articles by their contributors, collected by Stephen Merity and others " +
    "(Salesforce Research), under CC BY-SA 3.0. Keep this notice with the files.\n",
};

/**
 * Downloads WikiText-2 into a folder that `--corpus` takes. Node only.
 * @param report gets a line for each address tried
 * @throws KilnError (`machine`) that says so when there is no network
 */
export async function fetchWikiText2(
  targetFolder: string,
  report?: (line: string) => void,
): Promise<FetchResult> {
  const { fetchArchive } = await import("./fetch-archive.ts");
  return fetchArchive(wikiText2, targetFolder, report);
}
