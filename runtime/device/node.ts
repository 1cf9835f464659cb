import koffi from "koffi";
import { create } from "webgpu";
import { KilnError } from "../errors.ts";
import { hasEmbeddedDevice, unpackEmbeddedDevice } from "./embedded.ts";

/** An adapter and the instance it came from, which must be kept alive as long as its devices. */
export interface FoundAdapter {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
}

// Dawn rounds timestamps to 65 µs unless told not to: a profile of single dispatches needs the digits.
const switchedOff = "disable-dawn-features=timestamp_quantization";
/** Dawn holds `shader-f16` back on NVIDIA's Vulkan unless told not to. */
const switchedOn = "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia";
/**
 * The compiler proves that no kernel leaves its tensors (compiler/kernel/bounds.ts), so the driver need not check each access
 * again, which takes a sixth of a training step on a processor.
 */
const withoutChecks = "disable_robustness";

/**
 * Dawn's instances, one of a kind, for as long as the process lives: one that is collected while a device of it is still being
 * destroyed takes the process down.
 */
const instances = new Map<string, GPU>();

function instanceOf(kind: "hardware" | "software", checked: boolean): GPU {
  const key = `${kind} ${checked}`;
  const known = instances.get(key);
  if (known !== undefined) return known;
  const made = create([switchedOff, checked ? switchedOn : `${switchedOn},${withoutChecks}`]);
  instances.set(key, made);
  return made;
}

/** Libraries loaded with `koffi` stay in the process only as long as their handle is reachable. */
const loadedLibraries: unknown[] = [];

/**
 * A real GPU through Dawn: Vulkan, Metal or Direct3D 12.
 * @param checked see `OpenOptions`
 * @returns undefined where there is none (a software adapter of the system does not count)
 */
export async function findHardwareAdapter(checked: boolean): Promise<FoundAdapter | undefined> {
  if (!vulkanMayWork()) return undefined;
  const gpu = instanceOf("hardware", checked);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  return adapter === null || adapter.info.isFallbackAdapter ? undefined : { gpu, adapter };
}

let systemHasVulkan: boolean | undefined;

/**
 * On Linux Dawn knows Vulkan only, and prints a warning of its own where the loader library is missing. Asked once: the embedded
 * device brings a library of that name.
 */
function vulkanMayWork(): boolean {
  if (process.platform !== "linux") return true;
  if (systemHasVulkan === undefined) {
    try {
      loadedLibraries.push(koffi.load("libvulkan.so.1"));
      systemHasVulkan = true;
    } catch {
      systemHasVulkan = false;
    }
  }
  return systemHasVulkan;
}

/**
 * The software device: the embedded SwiftShader, or the system's own fallback adapter on platforms it is not built for.
 *
 * Dawn looks for `libvulkan.so.1` by name: a library of that name that is already in the process, loaded with its
 * symbols global, is the one it finds. The loader reads the ICD variables when an instance is made.
 * @param checked see `OpenOptions`
 * @throws KilnError `machine` where there is no software device
 */
export async function findSoftwareAdapter(checked: boolean): Promise<FoundAdapter> {
  if (!hasEmbeddedDevice()) {
    const gpu = instanceOf("software", checked);
    const adapter = await gpu.requestAdapter({ forceFallbackAdapter: true });
    if (adapter !== null) return { gpu, adapter };
    throw noDevice(
      `the embedded software device runs on x86-64 Linux only, not on ${process.platform} ${process.arch}`,
    );
  }
  const { loaderPath, icdPath } = await unpackEmbeddedDevice();
  loadedLibraries.push(koffi.load(loaderPath, { global: true }));
  const restore = setEnvironment({ VK_ICD_FILENAMES: icdPath, VK_DRIVER_FILES: icdPath });
  try {
    const gpu = instanceOf("software", checked);
    const adapter = await gpu.requestAdapter();
    if (adapter !== null) return { gpu, adapter };
    throw noDevice("the embedded software device did not start");
  } finally {
    restore();
  }
}

function noDevice(reason: string): KilnError {
  return new KilnError(
    "machine",
    `no device to run on: ${reason}`,
    "install a GPU driver with Vulkan, Metal or Direct3D 12",
  );
}

/** Sets variables for the Vulkan loader; the function it returns puts back what was there. */
function setEnvironment(values: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
