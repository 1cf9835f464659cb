import type { PageData, PageKernel, PageSide } from "./content.ts";

/*
 * The script of the page: a click on a kernel anywhere selects it everywhere and shows what is known of it. It runs in the
 * browser, without modules: only types are imported.
 */

type SideName = PageSide["name"];
interface Selection {
  readonly side: SideName;
  readonly at: number;
}

const data: PageData = JSON.parse(document.getElementById("data")?.textContent ?? "{}");
const panel = document.getElementById("kernel");

function element(tag: string, className: string, ...children: readonly (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function countText(count: number): string {
  const units = ["", " k", " M", " G", " T"];
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)}${units[unit]}`;
}

function percentText(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

function kernelAt({ side, at }: Selection): PageKernel | undefined {
  return data[side].kernels[at];
}

/** `fused:12`, as the attribute `data-kernel` has it. */
function selectionOf(text: string | null | undefined): Selection | undefined {
  const [name, number] = (text ?? "").split(":");
  const side = name === "fused" || name === "unfused" ? name : undefined;
  const at = Number(number);
  return side === undefined || data[side].kernels[at] === undefined ? undefined : { side, at };
}

function link(selection: Selection): HTMLElement {
  const made = element("button", "link", `${selection.at} ${kernelAt(selection)?.name ?? ""}`);
  made.dataset.kernel = `${selection.side}:${selection.at}`;
  return made;
}

function section(title: string, ...children: readonly (Node | string)[]): HTMLElement {
  return element("section", "", element("h3", "", title), ...children);
}

function pairs(rows: readonly (readonly [string, Node | string])[]): HTMLElement {
  return element(
    "dl",
    "",
    ...rows.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]),
  );
}

function table(rows: readonly (readonly (Node | string)[])[]): HTMLElement {
  const made = element("table", "plain");
  const cellOf = (cell: Node | string): HTMLElement =>
    element("td", typeof cell === "string" && cell.length < 12 ? "short" : "", cell);
  for (const row of rows) made.append(element("tr", "", ...row.map(cellOf)));
  return made;
}

function figuresOf(side: PageSide, kernel: PageKernel): HTMLElement {
  const bytes = kernel.bytesRead + kernel.bytesWritten;
  const rows: [string, string][] = [
    ["shape", kernel.shape],
    ["launch", `${kernel.workgroups} workgroups of ${kernel.workgroupSize}`],
    ["bytes", `${bytesText(kernel.bytesRead)} read, ${bytesText(kernel.bytesWritten)} written`],
    [
      "operations",
      `${countText(kernel.flops)}FLOP, ${(kernel.flops / Math.max(1, bytes)).toFixed(2)} a byte`,
    ],
  ];
  if (kernel.ms !== null) {
    const total = side.kernels.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
    const seconds = kernel.ms / 1000;
    const rates = `${bytesText(bytes / seconds)}/s, ${countText(kernel.flops / seconds)}FLOP/s`;
    rows.push([
      "time",
      `${kernel.ms.toPrecision(3)} ms, ${percentText(kernel.ms / total)} of the step; ${rates}`,
    ]);
  }
  if (kernel.roofline !== null && data.roofline !== null) {
    const { bytesPerSecond, flopsPerSecond } = data.roofline;
    const bound = bytes / bytesPerSecond > kernel.flops / flopsPerSecond ? "memory" : "arithmetic";
    rows.push(["roofline", `${percentText(kernel.roofline)}, limited by ${bound}`]);
  }
  return pairs(rows);
}

function passed(selection: Selection): readonly HTMLElement[] {
  const { side, at } = selection;
  const rows = (isConsumer: boolean) =>
    data[side].flows
      .filter((flow) => (isConsumer ? flow.consumer : flow.producer) === at)
      .map((flow) => [
        link({ side, at: isConsumer ? flow.producer : flow.consumer }),
        element("code", "", flow.tensors.join(", ")),
        bytesText(flow.bytes),
        flow.reason,
      ]);
  const [before, after] = [rows(true), rows(false)];
  return [
    ...(before.length > 0 ? [section("Reads from, and why they are not one kernel", table(before))] : []),
    ...(after.length > 0 ? [section("Read by, and why they are not one kernel", table(after))] : []),
  ];
}

function specLines(kernel: PageKernel): HTMLElement {
  const list = element("div", "spec");
  let file = "";
  for (const line of kernel.lines) {
    if (line.file !== file) list.append(element("div", "file", line.file));
    file = line.file;
    const text = element("code", "", line.text.trimEnd());
    list.append(
      element(
        "div",
        "line",
        element("span", "number", `${line.line}`),
        text,
        element("span", "ops", line.ops.join(" ")),
      ),
    );
  }
  return list;
}

function wgsl(text: string): HTMLElement {
  const code = element("pre", "wgsl");
  for (const line of text.split("\n")) {
    const comment = line.indexOf("//");
    if (comment < 0) code.append(`${line}\n`);
    else code.append(line.slice(0, comment), element("i", "", line.slice(comment)), "\n");
  }
  return code;
}

function show(selection: Selection): void {
  const kernel = kernelAt(selection);
  if (kernel === undefined || panel === null) return;
  const side = data[selection.side];
  const other: SideName = selection.side === "fused" ? "unfused" : "fused";
  const rules = kernel.rules.map((rule) => {
    const chip = element("span", "rule", rule);
    chip.title = data.rules[rule] ?? "";
    return chip;
  });
  const module = side.modules[kernel.module] ?? "";
  const alike = side.kernels.filter(({ module: index }) => index === kernel.module).length;
  panel.replaceChildren(
    element(
      "header",
      kernel.kind,
      element("span", "kind", kernel.kind),
      element("h2", "", kernel.name),
      element(
        "p",
        "",
        `${selection.side} dispatch ${selection.at}${kernel.path === "" ? "" : `, ${kernel.path}`}`,
      ),
      element("p", "rules", ...rules),
    ),
    figuresOf(side, kernel),
    section("Lines of the spec", specLines(kernel)),
    section(
      other === "unfused"
        ? "Unfused kernels that compute the same ops"
        : "Fused kernels that compute these ops",
      element("p", "links", ...kernel.counterparts.map((at) => link({ side: other, at }))),
    ),
    section(
      "Tensors",
      table(
        kernel.tensors.map(({ name, type, place, access }) => [
          element("code", "", name),
          type,
          access,
          place,
        ]),
      ),
    ),
    ...passed(selection),
    section(`WGSL, one pipeline for ${alike} dispatch${alike === 1 ? "" : "es"}`, wgsl(module)),
  );
  panel.scrollTop = 0;
}

function mark(selection: Selection): void {
  for (const name of ["selected", "related", "active"])
    for (const marked of document.querySelectorAll(`.${name}`)) marked.classList.remove(name);
  const all = ({ side, at }: Selection) =>
    document.querySelectorAll(`[data-kernel="${side}:${at}"]:not(.link)`);
  for (const found of all(selection)) found.classList.add("selected");
  const other: SideName = selection.side === "fused" ? "unfused" : "fused";
  for (const at of kernelAt(selection)?.counterparts ?? [])
    for (const found of all({ side: other, at })) found.classList.add("related");
  const graph = document.querySelector(`#graph-${selection.side}`);
  for (const edge of graph?.querySelectorAll("[data-edge]") ?? [])
    if ((edge.getAttribute("data-edge") ?? "").split(" ").includes(`${selection.at}`))
      edge.classList.add("active");
}

/** Moves a graph so that its kernel is in the middle, unless it is where the person clicked. */
function reveal({ side, at }: Selection): void {
  const view = document.querySelector(`#graph-${side}`);
  const node = view?.querySelector(`[data-kernel="${side}:${at}"]`);
  if (view === null || node === null || node === undefined) return;
  const [frame, box] = [view.getBoundingClientRect(), node.getBoundingClientRect()];
  view.scrollBy({
    left: box.left + box.width / 2 - frame.left - frame.width / 2,
    top: box.top + box.height / 2 - frame.top - frame.height / 2,
  });
}

function select(selection: Selection, clicked?: Element): void {
  show(selection);
  mark(selection);
  if (clicked?.closest(`#graph-${selection.side}`) == null) reveal(selection);
  const first = kernelAt(selection)?.counterparts[0];
  const other: SideName = selection.side === "fused" ? "unfused" : "fused";
  if (first !== undefined) reveal({ side: other, at: first });
  history.replaceState(null, "", `#${selection.side}:${selection.at}`);
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const zoom = event.target.closest("[data-zoom]");
  if (zoom !== null) zoomBy(zoom);
  const heading = event.target.closest("th[data-sort]");
  if (heading instanceof HTMLTableCellElement) sortBy(heading);
  const found = event.target.closest("[data-kernel]");
  const selection = selectionOf(found?.getAttribute("data-kernel"));
  if (found !== null && selection !== undefined) select(selection, found);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.target instanceof SVGElement)) return;
  const selection = selectionOf(event.target.getAttribute("data-kernel"));
  if (selection !== undefined) select(selection, event.target);
});

/** Charts stretch along, from the width of their frame; graphs in both directions, from the size they were drawn in. */
function zoomBy(button: Element): void {
  const view = document.getElementById(button.getAttribute("data-of") ?? "");
  const factor = Number(button.getAttribute("data-zoom"));
  for (const svg of view?.querySelectorAll("svg") ?? []) {
    const natural = svg.viewBox.baseVal;
    const width = svg.getBoundingClientRect().width * factor;
    if (!svg.classList.contains("graph")) svg.style.width = factor === 0 ? "" : `${width}px`;
    else {
      const shown = factor === 0 ? natural.width : width;
      svg.setAttribute("width", `${shown}`);
      svg.setAttribute("height", `${(shown * natural.height) / natural.width}`);
    }
  }
  keepWords();
}

/** Tells the style how far each chart is stretched, so that its words are not. */
function keepWords(): void {
  for (const svg of document.querySelectorAll<SVGSVGElement>(".timeline, .memory"))
    svg.style.setProperty("--stretch", `${svg.getBoundingClientRect().width / svg.viewBox.baseVal.width}`);
}
window.addEventListener("resize", keepWords);
keepWords();

function sortBy(heading: HTMLTableCellElement): void {
  const body = heading.closest("table")?.tBodies[0];
  if (body === undefined) return;
  const value = (row: HTMLTableRowElement): number =>
    Number(row.cells[heading.cellIndex]?.getAttribute("data-value") ?? 0);
  const down = heading.getAttribute("data-sort") !== "down";
  heading.setAttribute("data-sort", down ? "down" : "up");
  body.append(...[...body.rows].sort((a, b) => (down ? value(b) - value(a) : value(a) - value(b))));
}

const slowest = data.fused.kernels.reduce(
  (most, { ms }, at) => ((ms ?? 0) > (data.fused.kernels[most]?.ms ?? 0) ? at : most),
  0,
);
select(selectionOf(location.hash.slice(1)) ?? { side: "fused", at: slowest });
